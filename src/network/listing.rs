//! `shadegrad plan`: a section of a plan as a device will run it, dispatch by dispatch.
//!
//! Each line reads like an assignment: what is written, an arrow, what is read. `*conv1.w` is the texture mirror of
//! `conv1.w`; the copies that bring mirrors up to date stand where they happen.

use super::compile::Compiled;
use crate::error::Result;
use crate::gpu::{Command, Dispatch, Operand, Recording};
use crate::ops::{Choose, record};
use crate::plan::{Pass, Plan, Tensor};
use crate::storage::{Region, StorageId};
use crate::table::{Align, Table, bytes, grouped};

impl Compiled {
    /// The dispatches of a section, and the storages that they use.
    pub fn listing(&self, passes: &[Pass], settings: &impl Choose) -> Result<String> {
        use Align::{Left, Right};
        let heading = ["#", "pass", "kernel", "grid", "workgroups", "writes", "", "reads"];
        let mut table = Table::new(heading, [Right, Left, Left, Right, Right, Left, Left, Left]);
        let mut recording = Recording::new();
        let mut number = 0;
        let mut copies = 0;
        for pass in passes {
            let before = recording.commands.len();
            record(&self.plan, pass, settings.settings(&pass.label), &mut recording)?;
            let names = Names { plan: &self.plan, pass };
            for command in &recording.commands[before..] {
                table.row(match command {
                    Command::Dispatch(dispatch) => {
                        number += 1;
                        names.dispatch(number, dispatch)
                    }
                    Command::Mirror { region, .. } => {
                        copies += 1;
                        names.copy(region)
                    }
                });
            }
        }
        let mut text = table.render();
        text += &format!("\n{} passes, {number} dispatches", passes.len());
        if copies > 0 {
            text += &format!(", {copies} copies to texture mirrors (*)");
        }
        text += "\n\n";
        text += &self.storages(passes, &recording);
        Ok(text)
    }

    /// The storages of a section, with the tensors that it uses of them.
    fn storages(&self, passes: &[Pass], recording: &Recording) -> String {
        use Align::{Left, Right};
        let mut table = Table::new(["storage", "elements", "bytes", "", "holds"], [Left, Right, Right, Left, Left]);
        let used: std::collections::BTreeSet<usize> =
            passes.iter().flat_map(|pass| pass.inputs.iter().chain(&pass.outputs)).map(|id| id.0).collect();
        let mirrored = recording.mirrored();
        let (mut total, mut mirrors) = (0, 0);
        for (index, storage) in self.plan.storages.iter().enumerate() {
            let inside = |id: &&usize| self.plan.tensors[**id].region.storage == StorageId(index);
            let tensors: Vec<&Tensor> = used.iter().filter(inside).map(|id| &self.plan.tensors[*id]).collect();
            if tensors.is_empty() {
                continue;
            }
            let size = 4 * storage.len as u64;
            let is_mirrored = mirrored.contains(&StorageId(index));
            total += size;
            mirrors += if is_mirrored { size } else { 0 };
            table.row([
                storage.name.clone(),
                grouped(storage.len as u64),
                bytes(size),
                if is_mirrored { "+ mirror".into() } else { String::new() },
                holds(storage.name.as_str(), &tensors),
            ]);
        }
        let mut text = table.render();
        let scratch = 4 * recording.scratch_len() as u64;
        text += &format!("\n{} in storages", bytes(total));
        if mirrors > 0 {
            text += &format!(", {} in mirrors", bytes(mirrors));
        }
        if scratch > 0 {
            text += &format!(", {} of scratch", bytes(scratch));
        }
        text.push('\n');
        text
    }
}

/// The shape of a storage's one tensor, unless it is plain, or the tensors by name.
fn holds(storage: &str, tensors: &[&Tensor]) -> String {
    let shape = |tensor: &Tensor| tensor.shape.iter().map(usize::to_string).collect::<Vec<_>>().join("x");
    match tensors {
        [only] if only.name == storage && only.shape.len() == 1 => String::new(),
        [only] if only.name == storage => shape(only),
        several => {
            let parts = several.iter().filter(|tensor| tensor.name != storage);
            parts.map(|tensor| format!("{} {}", tensor.name, shape(tensor))).collect::<Vec<_>>().join(", ")
        }
    }
}

/// Finds the names of what a pass reads and writes.
struct Names<'a> {
    plan: &'a Plan,
    pass: &'a Pass,
}

impl Names<'_> {
    fn dispatch(&self, number: usize, dispatch: &Dispatch) -> [String; 8] {
        let [x, y] = dispatch.groups;
        let list = |operands: &[(&'static str, Operand)]| {
            operands.iter().map(|(_, operand)| self.operand(operand)).collect::<Vec<_>>().join(" ")
        };
        [
            number.to_string(),
            dispatch.label.clone(),
            dispatch.kernel.name().to_string(),
            format!("{x}x{y}"),
            grouped(u64::from(x) * u64::from(y)),
            list(&dispatch.writes),
            "←".into(),
            list(&dispatch.reads),
        ]
    }

    fn copy(&self, region: &Region) -> [String; 8] {
        let name = self.region(region);
        let empty = String::new;
        [empty(), empty(), "copy".into(), empty(), empty(), format!("*{name}"), "←".into(), name]
    }

    fn operand(&self, operand: &Operand) -> String {
        match operand {
            Operand::Buffer(region) => self.region(region),
            Operand::Mirror(region) => format!("*{}", self.region(region)),
            Operand::Scratch(len) => format!("scratch[{}]", grouped(*len as u64)),
        }
    }

    /// A tensor of the pass, else any tensor there, else the place in the storage.
    fn region(&self, region: &Region) -> String {
        let own = self.pass.inputs.iter().chain(&self.pass.outputs).map(|id| self.plan.get(*id));
        let found = own.chain(&self.plan.tensors).find(|tensor| tensor.region == *region);
        found.map_or_else(
            || {
                let storage = &self.plan.storages[region.storage.0].name;
                format!("{storage}[{}..{}]", region.offset, region.offset + region.len)
            },
            |tensor| tensor.name.clone(),
        )
    }
}
