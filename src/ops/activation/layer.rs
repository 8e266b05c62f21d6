use super::{Activation, Backward, Forward};
use crate::ops::{Flow, Layer, Site, Tape};
use crate::plan::TensorId;
use crate::shape::Shape;

/// The layer `type = "relu"`, `"sigmoid"` or `"tanh"`.
#[derive(Clone, Debug)]
pub struct ActivationLayer(pub Activation);

impl Layer for ActivationLayer {
    fn kind(&self) -> &'static str {
        self.0.name()
    }

    fn describe(&self) -> String {
        String::new()
    }

    fn settings(&self) -> toml::Table {
        toml::Table::new()
    }

    fn output(&self, input: Shape) -> Result<Shape, String> {
        Ok(input)
    }

    fn activation(&self) -> Option<Activation> {
        Some(self.0)
    }

    fn keeps_places(&self) -> bool {
        true
    }

    fn forward(&self, tape: &mut Tape<'_>, at: &Site<'_>, x: TensorId) -> TensorId {
        let op = Forward { activation: self.0, len: tape.batch() * at.input.len() };
        let y = tape.output(at);
        tape.pass(at.label("forward"), op, &[x], &[y]);
        y
    }

    /// The next layer has already multiplied by the derivative of this activation; what remains is the derivative of a
    /// preceding activation, if there is one.
    fn backward(&self, tape: &mut Tape<'_>, at: &Site<'_>, flow: &Flow) -> Option<TensorId> {
        flow.wants_dx.then(|| {
            if flow.producer == Activation::Identity {
                return flow.dy;
            }
            let op = Backward { activation: flow.producer, len: tape.batch() * at.input.len() };
            let dx = tape.input_gradient(at);
            tape.pass(at.label("backward"), op, &[flow.x, flow.dy], &[dx]);
            dx
        })
    }
}
