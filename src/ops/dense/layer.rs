use super::{BackwardInput, BackwardWeight, Forward, Geometry};
use crate::ops::{Flow, Layer, Parameter, Site, Start, Tape, config};
use crate::plan::TensorId;
use crate::shape::Shape;
use serde::{Deserialize, Serialize};

/// The layer `type = "dense"`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Dense {
    /// Number of outputs, O.
    #[serde(deserialize_with = "config::count")]
    pub units: usize,
}

impl Dense {
    fn geometry(&self, tape: &Tape<'_>, at: &Site<'_>) -> Geometry {
        Geometry { batch: tape.batch(), inputs: at.input.len(), outputs: self.units }
    }
}

impl Layer for Dense {
    fn kind(&self) -> &'static str {
        "dense"
    }

    fn describe(&self) -> String {
        format!("{} units", self.units)
    }

    fn settings(&self) -> toml::Table {
        config::write(self)
    }

    fn output(&self, input: Shape) -> Result<Shape, String> {
        match input {
            Shape::Flat(_) => Ok(Shape::Flat(self.units)),
            Shape::Image(_) => {
                Err(format!("expected a vector of features, got an image of {input}; put a `flatten` layer before it"))
            }
        }
    }

    fn parameters(&self, input: Shape, unflattened: Shape) -> Vec<Parameter> {
        let (inputs, units) = (input.len(), self.units);
        // After a flattened image, the layer is a convolution with a window of the size of the image, and its weights
        // are permuted like those of a convolution.
        let (axes, order) = match unflattened {
            Shape::Image([height, width, channels]) => (vec![height, width, channels, units], vec![3, 2, 0, 1]),
            Shape::Flat(_) => (vec![inputs, units], vec![1, 0]),
        };
        let weight = Parameter {
            name: "weight",
            shape: vec![inputs, units],
            axes,
            order,
            torch_shape: vec![units, inputs],
            start: Start::Drawn([inputs, units]),
            is_learned: true,
        };
        vec![weight, Parameter::bias(units)]
    }

    fn fuses_activation(&self) -> bool {
        true
    }

    fn fuses_dropout(&self) -> bool {
        true
    }

    fn undoes_dropout(&self) -> bool {
        true
    }

    fn forward(&self, tape: &mut Tape<'_>, at: &Site<'_>, x: TensorId) -> TensorId {
        let geometry = self.geometry(tape, at);
        let y = tape.output(at);
        let op = Forward { geometry, activation: at.activation, dropout: at.dropout };
        tape.pass(at.label("forward"), op, &[x, at.parameters[0], at.parameters[1]], &[y]);
        y
    }

    fn backward(&self, tape: &mut Tape<'_>, at: &Site<'_>, flow: &Flow) -> Option<TensorId> {
        let geometry = self.geometry(tape, at);
        let (dw, db) = (at.gradients[0], at.gradients[1]);
        // The input gradient first: it follows the loss, with which a device may join it.
        let dx = flow.wants_dx.then(|| {
            let dx = tape.input_gradient(at);
            let op = BackwardInput { geometry, producer: flow.producer, dropout: flow.dropout };
            tape.pass(at.label("backward_input"), op, &flow.with_producer(&[flow.dy, at.parameters[0]]), &[dx]);
            dx
        });
        tape.pass(at.label("backward_weight"), BackwardWeight { geometry }, &[flow.x, flow.dy], &[dw, db]);
        dx
    }
}
