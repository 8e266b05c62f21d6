//! The passes of the optimizers, of batches of images, and of augmentation.

use super::{Key, Shaped, Value, Values, flag, lower, number, real, setting, size};
use crate::gpu::Constant;
use crate::ops::augment::{self, Augment};
use crate::ops::{accumulate, adam, average, clip, gather_batch, score, sgd};

const WEIGHT_DECAY: Key = setting("WEIGHT_DECAY", Constant::F32(0.0));

shaped!(
    sgd::Update,
    [size("LEN", 1000), setting("MOMENTUM", Constant::F32(0.0)), flag("NESTEROV"), WEIGHT_DECAY, flag("CLIPPED")],
    |values| Self {
        len: values.size("LEN")?,
        momentum: values.real("MOMENTUM")?,
        nesterov: values.flag("NESTEROV"),
        weight_decay: values.real("WEIGHT_DECAY")?,
        clipped: values.flag("CLIPPED"),
    },
    |op| [
        number("LEN", op.len),
        ("MOMENTUM", op.momentum.into()),
        ("NESTEROV", op.nesterov.into()),
        ("WEIGHT_DECAY", op.weight_decay.into()),
        ("CLIPPED", op.clipped.into()),
    ]
);
shaped!(
    adam::Update,
    [
        size("LEN", 1000),
        real("BETA1", 0.9),
        real("BETA2", 0.999),
        real("EPSILON", 1e-8),
        WEIGHT_DECAY,
        flag("DECOUPLED_DECAY"),
        flag("CLIPPED"),
    ],
    |values| Self {
        len: values.size("LEN")?,
        beta1: values.real("BETA1")?,
        beta2: values.real("BETA2")?,
        epsilon: values.real("EPSILON")?,
        weight_decay: values.real("WEIGHT_DECAY")?,
        decoupled: values.flag("DECOUPLED_DECAY"),
        clipped: values.flag("CLIPPED"),
    },
    |op| [
        number("LEN", op.len),
        ("BETA1", op.beta1.into()),
        ("BETA2", op.beta2.into()),
        ("EPSILON", op.epsilon.into()),
        ("WEIGHT_DECAY", op.weight_decay.into()),
        ("DECOUPLED_DECAY", op.decoupled.into()),
        ("CLIPPED", op.clipped.into()),
    ]
);
shaped!(
    clip::Scale,
    [size("LEN", 1000), real("MOST", 1.0)],
    |values| Self { len: values.size("LEN")?, most: values.real("MOST")? },
    |op| [number("LEN", op.len), ("MOST", op.most.into())]
);
shaped!(
    average::Update,
    [size("LEN", 1000), real("DECAY", 0.999)],
    |values| Self { len: values.size("LEN")?, decay: values.real("DECAY")? },
    |op| [number("LEN", op.len), ("DECAY", op.decay.into())]
);
shaped!(accumulate::Add, [size("LEN", 1000)], |values| Self { len: values.size("LEN")? }, |op| [number("LEN", op.len)]);
shaped!(
    score::Score,
    [size("BATCH", 5), size("SLOTS", 4), size("IMAGES", 20)],
    |values| Self { batch: values.size("BATCH")?, slots: values.size("SLOTS")?, images: images(values)? },
    |op| [number("BATCH", op.batch), number("SLOTS", op.slots), number("IMAGES", op.images)]
);
shaped!(
    gather_batch::Gather,
    [size("BATCH", 5), size("PIXELS", 30), size("IMAGES", 20)],
    |values| Self { batch: values.size("BATCH")?, pixels: values.size("PIXELS")?, images: images(values)? },
    |op| [number("BATCH", op.batch), number("PIXELS", op.pixels), number("IMAGES", op.images)]
);
shaped!(
    augment::Draw,
    [
        size("BATCH", 5),
        size("HEIGHT", 9),
        size("WIDTH", 8),
        real("MOST_SHIFT", 1.5),
        real("MOST_ROTATION", 10.0),
        real("MOST_SCALE", 0.1),
        real("MOST_SHEAR", 0.1),
        real("MOST_ELASTIC", 1.5),
    ],
    |values| {
        let part = |name| values.real(name).map(f64::from);
        let amount = Augment {
            shift: part("MOST_SHIFT")?,
            rotation: part("MOST_ROTATION")?,
            scale: part("MOST_SCALE")?,
            shear: part("MOST_SHEAR")?,
            elastic: part("MOST_ELASTIC")?,
        };
        amount.validate()?;
        let size = [side(values, "HEIGHT")?, side(values, "WIDTH")?];
        Self { batch: values.size("BATCH")?, size, amount }
    },
    |op| [
        number("BATCH", op.batch),
        number("HEIGHT", op.size[0]),
        number("WIDTH", op.size[1]),
        ("MOST_SHIFT", (op.amount.shift as f32).into()),
        ("MOST_ROTATION", (op.amount.rotation as f32).into()),
        ("MOST_SCALE", (op.amount.scale as f32).into()),
        ("MOST_SHEAR", (op.amount.shear as f32).into()),
        ("MOST_ELASTIC", (op.amount.elastic as f32).into()),
    ]
);
shaped!(
    augment::Gather,
    [size("BATCH", 5), size("HEIGHT", 9), size("WIDTH", 8), size("CHANNELS", 1), size("IMAGES", 20)],
    |values| Self {
        batch: values.size("BATCH")?,
        shape: [side(values, "HEIGHT")?, side(values, "WIDTH")?, values.size("CHANNELS")?],
        images: images(values)?,
    },
    |op| [
        number("BATCH", op.batch),
        number("HEIGHT", op.shape[0]),
        number("WIDTH", op.shape[1]),
        number("CHANNELS", op.shape[2]),
        number("IMAGES", op.images),
    ]
);

fn images(values: &Values) -> Result<usize, String> {
    let (batch, images) = (values.size("BATCH")?, values.size("IMAGES")?);
    if images >= batch {
        Ok(images)
    } else {
        Err(format!("images: expected at least the batch size ({batch}), got {images}"))
    }
}

fn side(values: &Values, name: &str) -> Result<usize, String> {
    let side = values.size(name)?;
    let most = augment::LARGEST_SIDE;
    if side <= most { Ok(side) } else { Err(format!("{}: expected at most {most}, got {side}", lower(name))) }
}
