//! The passes that a shader can be checked as, with the sizes and settings of each as constants of a shader.
//!
//! The names are those of this crate's own shaders where these have them. Settings, unlike sizes, decide which cases a
//! shader is run on: see [`OwnKernel`](super::OwnKernel).

/// Implements [`Shaped`] for a pass from its keys, how it is made of their values, and its constants.
macro_rules! shaped {
    ($op:ty, [$($key:expr),* $(,)?], |$values:ident| $make:expr, |$this:ident| [$($constant:expr),* $(,)?]) => {
        impl Shaped for $op {
            fn keys() -> Vec<Key> {
                vec![$($key),*]
            }
            fn make($values: &Values) -> Result<Self, String> {
                Ok($make)
            }
            fn constants(&self) -> Vec<Value> {
                let $this = self;
                vec![$($constant),*]
            }
        }
    };
    // With dropout in the epilogue, whose constants follow the others.
    ($op:ty, [$($key:expr),* $(,)?], |$values:ident| $make:expr, |$this:ident| [$($constant:expr),* $(,)?], drops) => {
        impl Shaped for $op {
            fn keys() -> Vec<Key> {
                vec![$($key,)* RATE]
            }
            fn make($values: &Values) -> Result<Self, String> {
                Ok($make)
            }
            fn constants(&self) -> Vec<Value> {
                let $this = self;
                let mut constants = vec![$($constant),*];
                constants.extend(dropout_constants($this.dropout));
                constants
            }
        }
    };
}

mod layers;
mod updates;
mod windows;

use crate::gpu::Constant;
use crate::ops::{
    Activation, Op, accumulate, activation, adam, average, batch_norm, classifier, clip, conv2d, dense, dropout,
    gather_batch, pool2d, score, sgd,
};
use crate::ops::{augment, softmax};
use crate::shape::{Padding, Window2d};
use std::any::Any;
use std::sync::OnceLock;

/// Name and value of a constant.
pub(super) type Value = (&'static str, Constant);

/// A size or setting of a pass.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    /// Its name in shaders: `STRIDE_H`.
    pub name: &'static str,
    /// The value if a shape does not give one.
    pub default: Constant,
    /// Words for the numbers 0, 1, …; empty if there are none.
    pub words: &'static [&'static str],
    /// Whether a shader that does not declare it computes the default.
    pub is_setting: bool,
}

const fn size(name: &'static str, default: u32) -> Key {
    Key { name, default: Constant::U32(default), words: &[], is_setting: false }
}

const fn real(name: &'static str, default: f32) -> Key {
    Key { name, default: Constant::F32(default), words: &[], is_setting: false }
}

const fn setting(name: &'static str, default: Constant) -> Key {
    Key { name, default, words: &[], is_setting: true }
}

const fn choice(name: &'static str, words: &'static [&'static str], default: u32) -> Key {
    Key { name, default: Constant::U32(default), words, is_setting: true }
}

const fn flag(name: &'static str) -> Key {
    Key { name, default: Constant::Bool(false), words: &["false", "true"], is_setting: true }
}

const ACTIVATIONS: &[&str] = &["identity", "relu", "sigmoid", "tanh"];
const ACTIVATION: Key = choice("ACTIVATION", ACTIVATIONS, 0);
const PRODUCER: Key = choice("PRODUCER", ACTIVATIONS, 0);
/// The rate of a dropout in the epilogue.
const RATE: Key = setting("RATE", Constant::F32(0.0));
const KIND: Key = choice("KIND", &["max", "min", "average", "l2"], 0);

/// The values of a pass's keys, by name.
pub(super) struct Values(pub Vec<Value>);

impl Values {
    fn get(&self, name: &str) -> Constant {
        match self.0.iter().find(|(known, _)| *known == name) {
            Some((_, value)) => *value,
            None => unreachable!("a pass reads its own keys, and {name} is not one of them"),
        }
    }

    /// A whole number of at least `least`.
    fn from(&self, name: &str, least: usize) -> Result<usize, String> {
        match self.get(name) {
            Constant::U32(number) if number as usize >= least => Ok(number as usize),
            other => Err(format!("{}: expected a whole number of at least {least}, got {}", lower(name), plain(other))),
        }
    }

    fn size(&self, name: &str) -> Result<usize, String> {
        self.from(name, 1)
    }

    fn real(&self, name: &str) -> Result<f32, String> {
        match self.get(name) {
            Constant::F32(number) if number.is_finite() => Ok(number),
            other => Err(format!("{}: expected a number, got {}", lower(name), plain(other))),
        }
    }

    fn flag(&self, name: &str) -> bool {
        self.get(name) == Constant::Bool(true)
    }

    fn activation(&self, name: &str) -> Activation {
        match self.get(name) {
            Constant::U32(1) => Activation::Relu,
            Constant::U32(2) => Activation::Sigmoid,
            Constant::U32(3) => Activation::Tanh,
            _ => Activation::Identity,
        }
    }

    /// A dropout behind a pass that has `width` outputs per image, unless the rate is 0.
    fn dropout(&self, width: usize) -> Result<Option<dropout::Mask>, String> {
        let rate = self.rate()?;
        Ok((rate > 0.0).then_some(dropout::Mask { rate, layer: 2, width }))
    }

    fn rate(&self) -> Result<f64, String> {
        let rate = f64::from(self.real("RATE")?);
        if (0.0..1.0).contains(&rate) {
            Ok(rate)
        } else {
            Err(format!("rate: expected a number from 0 up to but not including 1, got {rate}"))
        }
    }

    fn window(&self) -> Result<Window2d, String> {
        let pair = |[rows, columns]: [&str; 2]| Ok::<_, String>([self.size(rows)?, self.size(columns)?]);
        let image = [self.size("HEIGHT")?, self.size("WIDTH")?, self.size("CHANNELS")?];
        let zeros = Padding::Explicit([self.from("PAD_TOP", 0)?, self.from("PAD_LEFT", 0)?]);
        let (kernel, stride) = (pair(["KERNEL_H", "KERNEL_W"])?, pair(["STRIDE_H", "STRIDE_W"])?);
        Window2d::new(self.size("BATCH")?, image, kernel, stride, zeros)
    }

    fn kind(&self) -> pool2d::Kind {
        match self.get("KIND") {
            Constant::U32(1) => pool2d::Kind::Min,
            Constant::U32(2) => pool2d::Kind::Average,
            Constant::U32(3) => pool2d::Kind::L2,
            _ => pool2d::Kind::Max,
        }
    }
}

/// The name in a shape, `stride_h`, of the constant `STRIDE_H`.
pub(super) fn lower(name: &str) -> String {
    name.to_lowercase()
}

/// A value without its type suffix.
pub(super) fn plain(value: Constant) -> String {
    match value {
        Constant::U32(number) => number.to_string(),
        Constant::F32(number) => number.to_string(),
        Constant::Bool(flag) => flag.to_string(),
    }
}

fn number(name: &'static str, value: usize) -> Value {
    (name, Constant::from(value))
}

fn code(name: &'static str, value: Activation) -> Value {
    number(name, value as usize)
}

/// The constants of a dropout in an epilogue: `RATE`, and the `LAYER` and `THRESHOLD` of its random numbers.
fn dropout_constants(mask: Option<dropout::Mask>) -> [Value; 3] {
    let mask = mask.unwrap_or(dropout::Mask { rate: 0.0, layer: 0, width: 1 });
    [("RATE", (mask.rate as f32).into()), ("LAYER", mask.layer.into()), ("THRESHOLD", mask.threshold().into())]
}

/// A pass that can be made from numbers and gives them back.
trait Shaped: Op + Sized + 'static {
    fn keys() -> Vec<Key>;
    fn make(values: &Values) -> Result<Self, String>;
    /// The value of each key, and constants that follow from them.
    fn constants(&self) -> Vec<Value>;
}

/// An entry of the table of passes.
pub(super) struct Pass {
    pub name: &'static str,
    pub keys: Vec<Key>,
    pub make: fn(&Values) -> Result<Box<dyn Op>, String>,
    /// `None` for another pass.
    pub constants: fn(&dyn Op) -> Option<Vec<Value>>,
}

fn pass<T: Shaped>(name: &'static str) -> Pass {
    Pass {
        name,
        keys: T::keys(),
        make: |values| Ok(Box::new(T::make(values)?)),
        constants: |op| (op as &dyn Any).downcast_ref::<T>().map(T::constants),
    }
}

/// Every pass, by name.
pub(super) fn passes() -> &'static [Pass] {
    static PASSES: OnceLock<Vec<Pass>> = OnceLock::new();
    PASSES.get_or_init(|| {
        vec![
            pass::<conv2d::Forward>("conv2d.forward"),
            pass::<conv2d::PooledForward>("conv2d.forward_pooled"),
            pass::<conv2d::PooledBackwardWeight>("conv2d.backward_weight_pooled"),
            pass::<conv2d::BackwardInput>("conv2d.backward_input"),
            pass::<conv2d::BackwardWeight>("conv2d.backward_weight"),
            pass::<dense::Forward>("dense.forward"),
            pass::<dense::BackwardInput>("dense.backward_input"),
            pass::<dense::BackwardWeight>("dense.backward_weight"),
            pass::<pool2d::Forward>("pool2d.forward"),
            pass::<pool2d::Backward>("pool2d.backward"),
            pass::<activation::Forward>("activation.forward"),
            pass::<activation::Backward>("activation.backward"),
            pass::<batch_norm::Statistics>("batch_norm.statistics"),
            pass::<batch_norm::Running>("batch_norm.running"),
            pass::<batch_norm::Forward>("batch_norm.forward"),
            pass::<batch_norm::BackwardWeight>("batch_norm.backward_weight"),
            pass::<batch_norm::BackwardInput>("batch_norm.backward_input"),
            pass::<classifier::Loss>("classifier.loss"),
            pass::<dropout::Forward>("dropout.forward"),
            pass::<dropout::Backward>("dropout.backward"),
            pass::<softmax::Forward>("softmax.forward"),
            pass::<softmax::Loss>("softmax.loss"),
            pass::<score::Score>("score.score"),
            pass::<gather_batch::Gather>("gather_batch.gather"),
            pass::<augment::Draw>("augment.draw"),
            pass::<augment::Gather>("augment.gather"),
            pass::<sgd::Update>("sgd.update"),
            pass::<adam::Update>("adam.update"),
            pass::<clip::Scale>("clip.scale"),
            pass::<average::Update>("average.update"),
            pass::<accumulate::Add>("accumulate.add"),
        ]
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::edge_cases;
    use std::collections::BTreeSet;

    #[test]
    fn every_pass_that_is_verified_is_in_the_table() {
        let verified: BTreeSet<&str> = edge_cases().iter().map(|op| op.name()).collect();
        let known: BTreeSet<&str> = passes().iter().map(|pass| pass.name).collect();
        assert_eq!(verified, known);
    }

    /// A pass gives the values that it was made of, so that it can be made again; and passes are told apart.
    #[test]
    fn passes_are_made_of_their_constants() {
        for pass in passes() {
            let defaults = Values(pass.keys.iter().map(|key| (key.name, key.default)).collect());
            let op = (pass.make)(&defaults).unwrap_or_else(|problem| panic!("{}: {problem}", pass.name));
            assert_eq!(op.name(), pass.name);
            let constants = (pass.constants)(&*op).unwrap();
            for value in &defaults.0 {
                assert!(constants.contains(value), "{}: {value:?}", pass.name);
            }
            let edge_cases = edge_cases();
            for op in edge_cases.iter().filter(|op| op.name() == pass.name) {
                let values = Values((pass.constants)(&**op).unwrap());
                let words = |key: &Key| match values.get(key.name) {
                    Constant::U32(number) => key.words.is_empty() || (number as usize) < key.words.len(),
                    Constant::F32(_) => key.words.is_empty(),
                    Constant::Bool(_) => key.words == ["false", "true"],
                };
                assert!(pass.keys.iter().all(words), "{op:?}");
            }
            assert!(edge_cases.iter().filter(|op| op.name() != pass.name).all(|op| (pass.constants)(&**op).is_none()));
        }
    }
}
