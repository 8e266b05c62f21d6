//! Passes that slide a window over images.

use super::{
    ACTIVATION, KIND, Key, PRODUCER, RATE, Shaped, Value, Values, code, dropout_constants, flag, number, setting, size,
};
use crate::gpu::Constant;
use crate::ops::{Activation, conv2d, pool2d};
use crate::shape::Window2d;

/// Keys of a window with the default stride `stride`.
fn window_keys(kernel: u32, stride: u32) -> Vec<Key> {
    vec![
        size("BATCH", 2),
        size("HEIGHT", 9),
        size("WIDTH", 8),
        size("CHANNELS", 4),
        size("KERNEL_H", kernel),
        size("KERNEL_W", kernel),
        setting("STRIDE_H", Constant::U32(stride)),
        setting("STRIDE_W", Constant::U32(stride)),
        setting("PAD_TOP", Constant::U32(0)),
        setting("PAD_LEFT", Constant::U32(0)),
    ]
}

fn window_constants(window: &Window2d) -> Vec<Value> {
    window.constants().into_iter().map(|(name, value)| number(name, value)).collect()
}

impl conv2d::Geometry {
    fn keys(settings: &[Key]) -> Vec<Key> {
        let mut keys = window_keys(3, 1);
        keys.push(size("FILTERS", 8));
        keys.extend(settings);
        keys
    }

    fn make(values: &Values) -> Result<conv2d::Geometry, String> {
        Ok(conv2d::Geometry { window: values.window()?, filters: values.size("FILTERS")? })
    }

    fn constants(&self, settings: &[Value]) -> Vec<Value> {
        let mut constants = window_constants(&self.window);
        constants.push(number("FILTERS", self.filters));
        constants.extend(settings);
        constants
    }
}

impl Shaped for conv2d::Forward {
    fn keys() -> Vec<Key> {
        conv2d::Geometry::keys(&[ACTIVATION, RATE])
    }
    fn make(values: &Values) -> Result<Self, String> {
        let geometry = conv2d::Geometry::make(values)?;
        let dropout = values.dropout(geometry.output_len() / geometry.window.batch)?;
        Ok(Self { geometry, activation: values.activation("ACTIVATION"), dropout })
    }
    fn constants(&self) -> Vec<Value> {
        let mut constants = self.geometry.constants(&[code("ACTIVATION", self.activation)]);
        constants.extend(dropout_constants(self.dropout));
        constants
    }
}

/// Keys of a convolution with pooling; by default it has one channel, which all of its kernels support.
fn pooled_keys(activation: Key) -> Vec<Key> {
    let mut keys = conv2d::Geometry::keys(&[activation, KIND, RATE]);
    let channels = keys.iter_mut().filter(|key| key.name == "CHANNELS");
    channels.for_each(|key| key.default = Constant::U32(1));
    keys
}

/// The kind of pooling, the activation with this name, and the rate of dropout unless it is 0.
fn pooled_kinds(values: &Values, activation: &str) -> Result<(pool2d::Kind, Activation, Option<f64>), String> {
    let rate = Some(values.rate()?).filter(|rate| *rate > 0.0);
    Ok((values.kind(), values.activation(activation), rate))
}

impl Shaped for conv2d::PooledForward {
    fn keys() -> Vec<Key> {
        pooled_keys(ACTIVATION)
    }
    fn make(values: &Values) -> Result<Self, String> {
        let geometry = conv2d::Geometry::make(values)?;
        let kinds = pooled_kinds(values, "ACTIVATION")?;
        conv2d::PooledForward::of(geometry, kinds).ok_or_else(|| {
            "expected a max or min pool, filters in fours, and channels in fours with at most 3,072 weights per filter, or \
             else at most 32 weights per filter"
                .into()
        })
    }
    fn constants(&self) -> Vec<Value> {
        let settings = [code("ACTIVATION", self.forward.activation), number("KIND", self.pool.kind as usize)];
        let mut constants = self.forward.geometry.constants(&settings);
        constants.extend(dropout_constants(self.pool.dropout));
        constants
    }
}

impl Shaped for conv2d::PooledBackwardWeight {
    fn keys() -> Vec<Key> {
        pooled_keys(PRODUCER)
    }
    fn make(values: &Values) -> Result<Self, String> {
        let geometry = conv2d::Geometry::make(values)?;
        let kinds = pooled_kinds(values, "PRODUCER")?;
        conv2d::PooledBackwardWeight::of(geometry, kinds).ok_or_else(|| {
            "expected a max or min pool, at most 256 filters in fours, and few channels: not in fours, with at most 32 weights \
             per filter"
                .into()
        })
    }
    fn constants(&self) -> Vec<Value> {
        let settings = [code("PRODUCER", self.pool.producer), number("KIND", self.pool.kind as usize)];
        let mut constants = self.weight.geometry.constants(&settings);
        constants.extend(dropout_constants(self.pool.dropout));
        constants
    }
}

impl Shaped for conv2d::BackwardInput {
    fn keys() -> Vec<Key> {
        conv2d::Geometry::keys(&[PRODUCER, RATE])
    }
    fn make(values: &Values) -> Result<Self, String> {
        let geometry = conv2d::Geometry::make(values)?;
        let dropout = values.dropout(geometry.window.input_len() / geometry.window.batch)?;
        Ok(Self { geometry, producer: values.activation("PRODUCER"), dropout })
    }
    fn constants(&self) -> Vec<Value> {
        let mut constants = self.geometry.constants(&[code("PRODUCER", self.producer)]);
        constants.extend(dropout_constants(self.dropout));
        constants
    }
}

impl Shaped for conv2d::BackwardWeight {
    fn keys() -> Vec<Key> {
        conv2d::Geometry::keys(&[])
    }
    fn make(values: &Values) -> Result<Self, String> {
        Ok(Self { geometry: conv2d::Geometry::make(values)? })
    }
    fn constants(&self) -> Vec<Value> {
        self.geometry.constants(&[])
    }
}

impl Shaped for pool2d::Forward {
    fn keys() -> Vec<Key> {
        // Only convolutions have padding.
        let mut keys = window_keys(2, 2);
        keys.extend([KIND, flag("KEEPS_M"), RATE]);
        keys
    }
    fn make(values: &Values) -> Result<Self, String> {
        let window = values.window()?;
        let dropout = values.dropout(window.out_height * window.out_width * window.channels)?;
        let op = Self { window, kind: values.kind(), keeps_m: values.flag("KEEPS_M"), dropout };
        check_pool(&op.window)?;
        if op.keeps_m && !op.kind.is_extreme() {
            return Err("keeps_m: only max and min pools keep positions".into());
        }
        Ok(op)
    }
    fn constants(&self) -> Vec<Value> {
        let mut constants = window_constants(&self.window);
        constants.extend([number("KIND", self.kind as usize), ("KEEPS_M", self.keeps_m.into())]);
        constants.extend(dropout_constants(self.dropout));
        constants
    }
}

impl Shaped for pool2d::Backward {
    fn keys() -> Vec<Key> {
        let mut keys = window_keys(2, 2);
        keys.extend([KIND, PRODUCER, RATE]);
        keys
    }
    fn make(values: &Values) -> Result<Self, String> {
        let (kind, producer) = (values.kind(), values.activation("PRODUCER"));
        let window = values.window()?;
        let dropout = values.dropout(window.out_height * window.out_width * window.channels)?;
        let op = Self { window, kind, producer, dropout };
        check_pool(&op.window)?;
        Ok(op)
    }
    fn constants(&self) -> Vec<Value> {
        let mut constants = window_constants(&self.window);
        constants.extend([number("KIND", self.kind as usize), code("PRODUCER", self.producer)]);
        constants.extend(dropout_constants(self.dropout));
        constants
    }
}

fn check_pool(window: &Window2d) -> Result<(), String> {
    if window.padding == [0, 0] { Ok(()) } else { Err("padding: a pool does not support padding".into()) }
}
