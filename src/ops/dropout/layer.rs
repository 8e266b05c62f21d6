use super::{Backward, Forward, Mask, rows};
use crate::ops::{Flow, Layer, Site, Tape, config};
use crate::plan::TensorId;
use crate::shape::Shape;
use serde::{Deserialize, Serialize};

/// The layer `type = "dropout"`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Dropout {
    /// Probability of dropping an element, in [0, 1).
    #[serde(deserialize_with = "config::share")]
    pub rate: f64,
}

impl Dropout {
    /// The elements that the layer drops if it has this index in its network.
    fn mask(&self, index: usize, input: Shape) -> Mask {
        Mask { rate: self.rate, layer: index as u32, width: input.len() }
    }
}

impl Layer for Dropout {
    fn kind(&self) -> &'static str {
        "dropout"
    }

    fn describe(&self) -> String {
        format!("rate {}", self.rate)
    }

    fn settings(&self) -> toml::Table {
        config::write(self)
    }

    fn output(&self, input: Shape) -> Result<Shape, String> {
        Ok(input)
    }

    fn rows_per_slice(&self, input: Shape) -> usize {
        rows(input.len())
    }

    fn keeps_places(&self) -> bool {
        true
    }

    fn dropout(&self, index: usize, input: Shape) -> Option<Mask> {
        (self.rate > 0.0).then(|| self.mask(index, input))
    }

    fn passes_on(&self) -> bool {
        self.rate == 0.0
    }

    fn forward(&self, tape: &mut Tape<'_>, at: &Site<'_>, x: TensorId) -> TensorId {
        if !tape.training() || self.rate == 0.0 {
            return x;
        }
        let y = tape.output(at);
        let mask = self.mask(at.index, at.input);
        let op = Forward { len: tape.batch() * mask.width, mask };
        tape.pass(at.label("forward"), op, &[x], &[y]);
        y
    }

    fn backward(&self, tape: &mut Tape<'_>, at: &Site<'_>, flow: &Flow) -> Option<TensorId> {
        flow.wants_dx.then(|| {
            let mask = self.mask(at.index, at.input);
            let op = Backward { len: tape.batch() * mask.width, mask, producer: flow.producer };
            let dx = tape.input_gradient(at);
            tape.pass(at.label("backward"), op, &flow.with_producer(&[flow.dy]), &[dx]);
            dx
        })
    }
}
