use crate::ops::{Flow, Layer, Site, Tape};
use crate::plan::TensorId;
use crate::shape::Shape;

/// The layer `type = "flatten"`.
#[derive(Clone, Debug)]
pub struct Flatten;

impl Layer for Flatten {
    fn kind(&self) -> &'static str {
        "flatten"
    }

    fn describe(&self) -> String {
        String::new()
    }

    fn settings(&self) -> toml::Table {
        toml::Table::new()
    }

    fn output(&self, input: Shape) -> Result<Shape, String> {
        Ok(Shape::Flat(input.len()))
    }

    fn keeps_places(&self) -> bool {
        true
    }

    fn passes_on(&self) -> bool {
        true
    }

    fn forward(&self, _tape: &mut Tape<'_>, _at: &Site<'_>, x: TensorId) -> TensorId {
        x
    }

    fn backward(&self, _tape: &mut Tape<'_>, _at: &Site<'_>, flow: &Flow) -> Option<TensorId> {
        Some(flow.dy)
    }
}
