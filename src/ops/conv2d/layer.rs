use super::{BackwardInput, BackwardWeight, Forward, Geometry};
use crate::ops::config::{self, times};
use crate::ops::{Flow, Layer, Parameter, Site, Start, Tape};
use crate::plan::TensorId;
use crate::shape::{Padding, Shape, Window2d};
use serde::{Deserialize, Serialize};

/// The layer `type = "conv2d"`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Conv2d {
    /// Number of filters, K.
    #[serde(deserialize_with = "config::count")]
    pub filters: usize,
    /// Rows and columns of the window, R and S.
    #[serde(with = "config::pair")]
    pub kernel: [usize; 2],
    /// Rows and columns from one position of the window to the next; 1 by default.
    #[serde(with = "config::pair", default = "one")]
    pub stride: [usize; 2],
    /// Zeros around the image; none by default.
    #[serde(with = "config::padding", default = "valid")]
    pub padding: Padding,
}

fn one() -> [usize; 2] {
    [1, 1]
}

fn valid() -> Padding {
    Padding::Valid
}

impl Conv2d {
    fn geometry(&self, batch: usize, input: Shape) -> Result<Geometry, String> {
        match input {
            Shape::Image(image) => {
                let window = Window2d::new(batch, image, self.kernel, self.stride, self.padding)?;
                Ok(Geometry { window, filters: self.filters })
            }
            Shape::Flat(_) => Err(format!("expected an image (height x width x channels), got {input} features")),
        }
    }

    fn built(&self, tape: &Tape<'_>, at: &Site<'_>) -> Geometry {
        match self.geometry(tape.batch(), at.input) {
            Ok(geometry) => geometry,
            Err(problem) => unreachable!("{}: {problem}, though the network was built", at.name),
        }
    }
}

impl Layer for Conv2d {
    fn kind(&self) -> &'static str {
        "conv2d"
    }

    fn describe(&self) -> String {
        let padding = match self.padding {
            Padding::Valid => "valid".to_string(),
            Padding::Same => "same".to_string(),
            Padding::Explicit(zeros) => format!("padding {}", times(zeros)),
        };
        format!("{} filters {}, {}, {padding}", self.filters, times(self.kernel), config::stride(self.stride))
    }

    fn settings(&self) -> toml::Table {
        config::write(self)
    }

    fn output(&self, input: Shape) -> Result<Shape, String> {
        let Geometry { window, filters } = self.geometry(1, input)?;
        Ok(Shape::Image([window.out_height, window.out_width, filters]))
    }

    fn parameters(&self, input: Shape, _unflattened: Shape) -> Vec<Parameter> {
        let Shape::Image([_, _, channels]) = input else { return Vec::new() };
        let ([rows, columns], filters) = (self.kernel, self.filters);
        let area = rows * columns;
        let shape = vec![rows, columns, channels, filters];
        let weight = Parameter {
            name: "weight",
            axes: shape.clone(),
            shape,
            order: vec![3, 2, 0, 1],
            torch_shape: vec![filters, channels, rows, columns],
            start: Start::Drawn([area * channels, area * filters]),
            is_learned: true,
        };
        vec![weight, Parameter::bias(filters)]
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
        let geometry = self.built(tape, at);
        let y = tape.output(at);
        let op = Forward { geometry, activation: at.activation, dropout: at.dropout };
        tape.pass(at.label("forward"), op, &[x, at.parameters[0], at.parameters[1]], &[y]);
        y
    }

    // ANCHOR: backward
    fn backward(&self, tape: &mut Tape<'_>, at: &Site<'_>, flow: &Flow) -> Option<TensorId> {
        let geometry = self.built(tape, at);
        let (dw, db) = (at.gradients[0], at.gradients[1]);
        tape.pass(at.label("backward_weight"), BackwardWeight { geometry }, &[flow.x, flow.dy], &[dw, db]);
        flow.wants_dx.then(|| {
            let dx = tape.input_gradient(at);
            let op = BackwardInput { geometry, producer: flow.producer, dropout: flow.dropout };
            tape.pass(at.label("backward_input"), op, &flow.with_producer(&[flow.dy, at.parameters[0]]), &[dx]);
            dx
        })
    }
    // ANCHOR_END: backward
}
