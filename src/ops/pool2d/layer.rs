use super::{Backward, Forward, Kind, m_len};
use crate::ops::config::{self, times};
use crate::ops::{Flow, Layer, Site, Tape};
use crate::plan::{Element, TensorId};
use crate::shape::{Padding, Shape, Window2d};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The layer `type = "max_pool2d"`, `"min_pool2d"`, `"average_pool2d"` or `"l2_pool2d"`.
#[derive(Clone, Debug)]
pub struct Pool2d {
    /// The kind of pooling.
    pub kind: Kind,
    /// Size and stride of the window.
    pub settings: Settings,
}

/// Settings of a pooling layer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Settings {
    /// Rows and columns of the window, R and S.
    #[serde(with = "config::pair")]
    pub size: [usize; 2],
    /// Rows and columns from one window to the next; by default the size of the window.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stride: Option<Stride>,
}

/// A stride: rows and columns from one window to the next.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Stride(#[serde(with = "config::pair")] pub [usize; 2]);

impl Pool2d {
    /// Reads a layer from its settings; the message of an error names the key.
    pub(crate) fn read(kind: Kind, table: toml::Table) -> Result<Arc<dyn Layer>, String> {
        Ok(Arc::new(Pool2d { kind, settings: config::read(table)? }))
    }

    fn stride(&self) -> [usize; 2] {
        self.settings.stride.map_or(self.settings.size, |Stride(stride)| stride)
    }

    fn window(&self, batch: usize, input: Shape) -> Result<Window2d, String> {
        match input {
            Shape::Image(image) => Window2d::new(batch, image, self.settings.size, self.stride(), Padding::Valid),
            Shape::Flat(_) => Err(format!("expected an image (height x width x channels), got {input} features")),
        }
    }

    fn built(&self, tape: &Tape<'_>, at: &Site<'_>) -> Window2d {
        match self.window(tape.batch(), at.input) {
            Ok(window) => window,
            Err(problem) => unreachable!("{}: {problem}, though the network was built", at.name),
        }
    }
}

impl Layer for Pool2d {
    fn kind(&self) -> &'static str {
        match self.kind {
            Kind::Max => "max_pool2d",
            Kind::Min => "min_pool2d",
            Kind::Average => "average_pool2d",
            Kind::L2 => "l2_pool2d",
        }
    }

    fn describe(&self) -> String {
        format!("{}, {}", times(self.settings.size), config::stride(self.stride()))
    }

    fn settings(&self) -> toml::Table {
        config::write(&self.settings)
    }

    fn output(&self, input: Shape) -> Result<Shape, String> {
        let window = self.window(1, input)?;
        Ok(Shape::Image([window.out_height, window.out_width, window.channels]))
    }

    fn fuses_dropout(&self) -> bool {
        true
    }

    fn forward(&self, tape: &mut Tape<'_>, at: &Site<'_>, x: TensorId) -> TensorId {
        let window = self.built(tape, at);
        let y = tape.output(at);
        let keeps_m = tape.training() && self.kind.is_extreme();
        let op = Forward { window, kind: self.kind, keeps_m, dropout: at.dropout };
        let outputs = if keeps_m { vec![y, m(tape, at, &window)] } else { vec![y] };
        tape.pass(at.label("forward"), op, &[x], &outputs);
        y
    }

    fn backward(&self, tape: &mut Tape<'_>, at: &Site<'_>, flow: &Flow) -> Option<TensorId> {
        flow.wants_dx.then(|| {
            let window = self.built(tape, at);
            let op = Backward { window, kind: self.kind, producer: flow.producer, dropout: at.dropout };
            let dx = tape.input_gradient(at);
            let inputs = if self.kind.is_extreme() {
                [flow.y, m(tape, at, &window), flow.dy]
            } else {
                [flow.x, flow.y, flow.dy]
            };
            tape.pass(at.label("backward"), op, &inputs, &[dx]);
            dx
        })
    }
}

/// The tensor of the positions of the extremes, `<layer>.m`.
fn m(tape: &mut Tape<'_>, at: &Site<'_>, window: &Window2d) -> TensorId {
    tape.tensor(&at.label("m"), &[m_len(window)], Element::Int)
}
