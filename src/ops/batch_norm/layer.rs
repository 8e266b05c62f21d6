use super::{BackwardInput, BackwardWeight, Forward, Geometry, Running, Statistics};
use crate::ops::{Flow, Layer, Parameter, Site, Start, Tape, config};
use crate::plan::{Combine, Element, TensorId};
use crate::shape::Shape;
use serde::{Deserialize, Serialize};

/// The layer `type = "batch_norm"`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BatchNorm {
    /// Weight of the batch in the running mean and variance, in [0, 1).
    #[serde(default = "momentum", deserialize_with = "config::share")]
    pub momentum: f64,
    /// Added to the variance; greater than 0.
    #[serde(default = "epsilon", deserialize_with = "config::positive")]
    pub epsilon: f64,
}

fn momentum() -> f64 {
    0.1
}

fn epsilon() -> f64 {
    1e-5
}

impl BatchNorm {
    fn geometry(batch: usize, input: Shape) -> Geometry {
        match input {
            Shape::Image([height, width, channels]) => Geometry { batch, places: height * width, channels },
            Shape::Flat(channels) => Geometry { batch, places: 1, channels },
        }
    }

    fn epsilon(&self) -> f32 {
        self.epsilon as f32
    }
}

/// The statistics of the batch, which a training step passes from forward to backward: `<layer>.mean` and
/// `<layer>.var`.
fn of_batch(tape: &mut Tape<'_>, at: &Site<'_>, geometry: Geometry) -> [TensorId; 2] {
    ["mean", "var"].map(|name| tape.tensor(&at.label(name), &[geometry.channels], Element::Real))
}

impl Layer for BatchNorm {
    fn kind(&self) -> &'static str {
        "batch_norm"
    }

    fn describe(&self) -> String {
        format!("momentum {}, epsilon {}", self.momentum, self.epsilon)
    }

    fn settings(&self) -> toml::Table {
        config::write(self)
    }

    fn output(&self, input: Shape) -> Result<Shape, String> {
        Ok(input)
    }

    fn parameters(&self, input: Shape, unflattened: Shape) -> Vec<Parameter> {
        // After a `flatten`, each value of an image is a channel of its own.
        let image = match (input, unflattened) {
            (Shape::Flat(_), Shape::Image(image)) => Some(image),
            _ => None,
        };
        let channels = BatchNorm::geometry(1, input).channels;
        let each = |name, value, is_learned| {
            let one = Parameter { name, start: Start::Constant(value), is_learned, ..Parameter::bias(channels) };
            match image {
                None => one,
                Some(image) => Parameter { axes: image.to_vec(), order: vec![2, 0, 1], ..one },
            }
        };
        vec![
            each("weight", 1.0, true),
            each("bias", 0.0, true),
            each("running_mean", 0.0, false),
            each("running_var", 1.0, false),
        ]
    }

    fn batch_statistics(&self, input: Shape) -> Option<usize> {
        Some(BatchNorm::geometry(1, input).places)
    }

    fn keeps_places(&self) -> bool {
        true
    }

    fn fuses_activation(&self) -> bool {
        true
    }

    fn forward(&self, tape: &mut Tape<'_>, at: &Site<'_>, x: TensorId) -> TensorId {
        let geometry = BatchNorm::geometry(tape.batch(), at.input);
        let [w, b, running_mean, running_var] = at.parameters else {
            unreachable!("{}: a batch_norm has four parameters", at.name)
        };
        let [mean, var] = if tape.training() {
            let [mean, var] = of_batch(tape, at, geometry);
            let momentum = self.momentum as f32;
            let outputs = [mean, var, *running_mean, *running_var];
            if tape.syncs() {
                // With a momentum of 0 this pass leaves the running statistics to the one after the exchange.
                tape.pass(at.label("statistics"), Statistics { geometry, momentum: 0.0 }, &[x], &outputs);
                tape.exchange(vec![mean, var], Combine::Moments);
                let op = Running { geometry, momentum };
                tape.pass(at.label("running"), op, &[mean, var], &[*running_mean, *running_var]);
            } else {
                tape.pass(at.label("statistics"), Statistics { geometry, momentum }, &[x], &outputs);
            }
            [mean, var]
        } else {
            [*running_mean, *running_var]
        };
        let y = tape.output(at);
        let op = Forward { geometry, epsilon: self.epsilon(), activation: at.activation };
        tape.pass(at.label("forward"), op, &[x, *w, *b, mean, var], &[y]);
        y
    }

    fn backward(&self, tape: &mut Tape<'_>, at: &Site<'_>, flow: &Flow) -> Option<TensorId> {
        let geometry = BatchNorm::geometry(tape.batch(), at.input);
        let [mean, var] = of_batch(tape, at, geometry);
        let (w, dw, db) = (at.parameters[0], at.gradients[0], at.gradients[1]);
        let op = BackwardWeight { geometry, epsilon: self.epsilon() };
        tape.pass(at.label("backward_weight"), op, &[flow.x, flow.dy, mean, var], &[dw, db]);
        if tape.syncs() {
            tape.exchange(vec![dw, db], Combine::Sum);
        }
        flow.wants_dx.then(|| {
            let dx = tape.input_gradient(at);
            let op = BackwardInput { geometry, epsilon: self.epsilon(), producer: flow.producer };
            tape.pass(at.label("backward_input"), op, &[flow.x, flow.dy, w, mean, var, dw, db], &[dx]);
            dx
        })
    }
}
