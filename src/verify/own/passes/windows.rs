//! Passes that slide a window over images.

use super::{ACTIVATION, KIND, Key, PRODUCER, Shaped, Value, Values, code, flag, number, setting, size};
use crate::gpu::Constant;
use crate::ops::{conv2d, pool2d};
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
    fn keys(setting: Option<Key>) -> Vec<Key> {
        let mut keys = window_keys(3, 1);
        keys.push(size("FILTERS", 8));
        keys.extend(setting);
        keys
    }

    fn make(values: &Values) -> Result<conv2d::Geometry, String> {
        Ok(conv2d::Geometry { window: values.window()?, filters: values.size("FILTERS")? })
    }

    fn constants(&self, setting: Option<Value>) -> Vec<Value> {
        let mut constants = window_constants(&self.window);
        constants.push(number("FILTERS", self.filters));
        constants.extend(setting);
        constants
    }
}

impl Shaped for conv2d::Forward {
    fn keys() -> Vec<Key> {
        conv2d::Geometry::keys(Some(ACTIVATION))
    }
    fn make(values: &Values) -> Result<Self, String> {
        Ok(Self {
            geometry: conv2d::Geometry::make(values)?,
            activation: values.activation("ACTIVATION"),
            dropout: None,
        })
    }
    fn constants(&self) -> Vec<Value> {
        self.geometry.constants(Some(code("ACTIVATION", self.activation)))
    }
}

impl Shaped for conv2d::BackwardInput {
    fn keys() -> Vec<Key> {
        conv2d::Geometry::keys(Some(PRODUCER))
    }
    fn make(values: &Values) -> Result<Self, String> {
        Ok(Self { geometry: conv2d::Geometry::make(values)?, producer: values.activation("PRODUCER"), dropout: None })
    }
    fn constants(&self) -> Vec<Value> {
        self.geometry.constants(Some(code("PRODUCER", self.producer)))
    }
}

impl Shaped for conv2d::BackwardWeight {
    fn keys() -> Vec<Key> {
        conv2d::Geometry::keys(None)
    }
    fn make(values: &Values) -> Result<Self, String> {
        Ok(Self { geometry: conv2d::Geometry::make(values)? })
    }
    fn constants(&self) -> Vec<Value> {
        self.geometry.constants(None)
    }
}

impl Shaped for pool2d::Forward {
    fn keys() -> Vec<Key> {
        // Only convolutions have padding.
        let mut keys = window_keys(2, 2);
        keys.extend([KIND, flag("KEEPS_M")]);
        keys
    }
    fn make(values: &Values) -> Result<Self, String> {
        let op = Self { window: values.window()?, kind: values.kind(), keeps_m: values.flag("KEEPS_M"), dropout: None };
        check_pool(&op.window)?;
        if op.keeps_m && !op.kind.is_extreme() {
            return Err("keeps_m: only max and min pools keep positions".into());
        }
        Ok(op)
    }
    fn constants(&self) -> Vec<Value> {
        let mut constants = window_constants(&self.window);
        constants.extend([number("KIND", self.kind as usize), ("KEEPS_M", self.keeps_m.into())]);
        constants
    }
}

impl Shaped for pool2d::Backward {
    fn keys() -> Vec<Key> {
        let mut keys = window_keys(2, 2);
        keys.extend([KIND, PRODUCER]);
        keys
    }
    fn make(values: &Values) -> Result<Self, String> {
        let (kind, producer) = (values.kind(), values.activation("PRODUCER"));
        let op = Self { window: values.window()?, kind, producer, dropout: None };
        check_pool(&op.window)?;
        Ok(op)
    }
    fn constants(&self) -> Vec<Value> {
        let mut constants = window_constants(&self.window);
        constants.extend([number("KIND", self.kind as usize), code("PRODUCER", self.producer)]);
        constants
    }
}

fn check_pool(window: &Window2d) -> Result<(), String> {
    if window.padding == [0, 0] { Ok(()) } else { Err("padding: a pool does not support padding".into()) }
}
