//! The passes of layers without a window, and of the loss.

use super::{
    ACTIVATION, ACTIVATIONS, Key, PRODUCER, RATE, Shaped, Value, Values, choice, code, dropout_constants, number, real,
    setting, size,
};
use crate::gpu::Constant;
use crate::ops::softmax::{self, Cost};
use crate::ops::{activation, batch_norm, classifier, dense, dropout};

fn dense_geometry(values: &Values) -> Result<dense::Geometry, String> {
    let (batch, inputs, outputs) = (values.size("BATCH")?, values.size("INPUTS")?, values.size("OUTPUTS")?);
    Ok(dense::Geometry { batch, inputs, outputs })
}

shaped!(
    dense::Forward,
    [size("BATCH", 5), size("INPUTS", 20), size("OUTPUTS", 12), ACTIVATION],
    |values| Self {
        geometry: dense_geometry(values)?,
        activation: values.activation("ACTIVATION"),
        dropout: values.dropout(values.size("OUTPUTS")?)?
    },
    |op| [
        number("BATCH", op.geometry.batch),
        number("INPUTS", op.geometry.inputs),
        number("OUTPUTS", op.geometry.outputs),
        code("ACTIVATION", op.activation),
    ],
    drops
);
shaped!(
    dense::BackwardInput,
    [size("BATCH", 5), size("INPUTS", 20), size("OUTPUTS", 12), PRODUCER],
    |values| Self {
        geometry: dense_geometry(values)?,
        producer: values.activation("PRODUCER"),
        dropout: values.dropout(values.size("INPUTS")?)?
    },
    |op| [
        number("BATCH", op.geometry.batch),
        number("INPUTS", op.geometry.inputs),
        number("OUTPUTS", op.geometry.outputs),
        code("PRODUCER", op.producer),
    ],
    drops
);
shaped!(
    dense::BackwardWeight,
    [size("BATCH", 5), size("INPUTS", 20), size("OUTPUTS", 12)],
    |values| Self { geometry: dense_geometry(values)? },
    |op| [
        number("BATCH", op.geometry.batch),
        number("INPUTS", op.geometry.inputs),
        number("OUTPUTS", op.geometry.outputs),
    ]
);

fn norm_geometry(values: &Values) -> Result<batch_norm::Geometry, String> {
    let (batch, places, channels) = (values.size("BATCH")?, values.size("PLACES")?, values.size("CHANNELS")?);
    Ok(batch_norm::Geometry { batch, places, channels })
}

shaped!(
    batch_norm::Statistics,
    [size("BATCH", 5), size("PLACES", 12), size("CHANNELS", 8), real("MOMENTUM", 0.1)],
    |values| Self { geometry: norm_geometry(values)?, momentum: values.real("MOMENTUM")? },
    |op| [
        number("BATCH", op.geometry.batch),
        number("PLACES", op.geometry.places),
        number("CHANNELS", op.geometry.channels),
        ("MOMENTUM", op.momentum.into()),
    ]
);
shaped!(
    batch_norm::Forward,
    [size("BATCH", 5), size("PLACES", 12), size("CHANNELS", 8), real("EPSILON", 1e-5), ACTIVATION],
    |values| Self {
        geometry: norm_geometry(values)?,
        epsilon: values.real("EPSILON")?,
        activation: values.activation("ACTIVATION"),
    },
    |op| [
        number("BATCH", op.geometry.batch),
        number("PLACES", op.geometry.places),
        number("CHANNELS", op.geometry.channels),
        ("EPSILON", op.epsilon.into()),
        code("ACTIVATION", op.activation),
    ]
);
shaped!(
    batch_norm::BackwardWeight,
    [size("BATCH", 5), size("PLACES", 12), size("CHANNELS", 8), real("EPSILON", 1e-5)],
    |values| Self { geometry: norm_geometry(values)?, epsilon: values.real("EPSILON")? },
    |op| [
        number("BATCH", op.geometry.batch),
        number("PLACES", op.geometry.places),
        number("CHANNELS", op.geometry.channels),
        ("EPSILON", op.epsilon.into()),
    ]
);
shaped!(
    batch_norm::Running,
    [size("BATCH", 5), size("PLACES", 12), size("CHANNELS", 8), real("MOMENTUM", 0.1)],
    |values| Self { geometry: norm_geometry(values)?, momentum: values.real("MOMENTUM")? },
    |op| [
        number("BATCH", op.geometry.batch),
        number("PLACES", op.geometry.places),
        number("CHANNELS", op.geometry.channels),
        ("MOMENTUM", op.momentum.into()),
    ]
);
shaped!(
    batch_norm::BackwardInput,
    [size("BATCH", 5), size("PLACES", 12), size("CHANNELS", 8), real("EPSILON", 1e-5), PRODUCER],
    |values| Self {
        geometry: norm_geometry(values)?,
        epsilon: values.real("EPSILON")?,
        producer: values.activation("PRODUCER"),
    },
    |op| [
        number("BATCH", op.geometry.batch),
        number("PLACES", op.geometry.places),
        number("CHANNELS", op.geometry.channels),
        ("EPSILON", op.epsilon.into()),
        code("PRODUCER", op.producer),
    ]
);
shaped!(
    softmax::Forward,
    [size("BATCH", 5), size("CLASSES", 10)],
    |values| Self { batch: values.size("BATCH")?, classes: values.size("CLASSES")? },
    |op| [number("BATCH", op.batch), number("CLASSES", op.classes)]
);
shaped!(
    softmax::Loss,
    [
        size("BATCH", 5),
        size("CLASSES", 10),
        choice("COST", &["cross-entropy", "quadratic"], 0),
        setting("SMOOTHING", Constant::F32(0.0)),
    ],
    |values| Self {
        batch: values.size("BATCH")?,
        classes: values.size("CLASSES")?,
        cost: if values.get("COST") == Constant::U32(1) { Cost::Quadratic } else { Cost::CrossEntropy },
        smoothing: values.real("SMOOTHING")?,
    },
    |op| [
        number("BATCH", op.batch),
        number("CLASSES", op.classes),
        number("COST", op.cost as usize),
        ("SMOOTHING", op.smoothing.into()),
    ]
);
shaped!(
    classifier::Loss,
    [
        size("BATCH", 5),
        size("INPUTS", 20),
        size("OUTPUTS", 10),
        PRODUCER,
        choice("COST", &["cross-entropy", "quadratic"], 0),
        setting("SMOOTHING", Constant::F32(0.0)),
    ],
    |values| Self {
        geometry: dense_geometry(values)?,
        producer: values.activation("PRODUCER"),
        dropout: values.dropout(values.size("INPUTS")?)?,
        cost: if values.get("COST") == Constant::U32(1) { Cost::Quadratic } else { Cost::CrossEntropy },
        smoothing: values.real("SMOOTHING")?,
    },
    |op| [
        number("BATCH", op.geometry.batch),
        number("INPUTS", op.geometry.inputs),
        number("OUTPUTS", op.geometry.outputs),
        code("PRODUCER", op.producer),
        number("COST", op.cost as usize),
        ("SMOOTHING", op.smoothing.into()),
    ],
    drops
);
shaped!(
    activation::Forward,
    [size("LEN", 1000), choice("ACTIVATION", ACTIVATIONS, 1)],
    |values| Self { activation: values.activation("ACTIVATION"), len: values.size("LEN")? },
    |op| [number("LEN", op.len), code("ACTIVATION", op.activation)]
);
shaped!(
    activation::Backward,
    [size("LEN", 1000), choice("ACTIVATION", ACTIVATIONS, 1)],
    |values| Self { activation: values.activation("ACTIVATION"), len: values.size("LEN")? },
    |op| [number("LEN", op.len), code("ACTIVATION", op.activation)]
);
shaped!(
    dropout::Forward,
    [size("LEN", 1000), size("WIDTH", 100), real("RATE", 0.5), size("LAYER", 0)],
    |values| Self { len: values.size("LEN")?, mask: mask(values)? },
    |op| [
        number("LEN", op.len),
        number("WIDTH", op.mask.width),
        ("RATE", (op.mask.rate as f32).into()),
        ("LAYER", op.mask.layer.into()),
        ("THRESHOLD", op.mask.threshold().into()),
    ]
);
shaped!(
    dropout::Backward,
    [size("LEN", 1000), size("WIDTH", 100), real("RATE", 0.5), size("LAYER", 0), PRODUCER],
    |values| Self { len: values.size("LEN")?, mask: mask(values)?, producer: values.activation("PRODUCER") },
    |op| [
        number("LEN", op.len),
        number("WIDTH", op.mask.width),
        ("RATE", (op.mask.rate as f32).into()),
        ("LAYER", op.mask.layer.into()),
        ("THRESHOLD", op.mask.threshold().into()),
        code("PRODUCER", op.producer),
    ]
);

fn mask(values: &Values) -> Result<dropout::Mask, String> {
    let (rate, layer) = (values.rate()?, values.from("LAYER", 0)? as u32);
    Ok(dropout::Mask { rate, layer, width: values.size("WIDTH")? })
}
