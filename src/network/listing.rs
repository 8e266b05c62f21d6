//! `shadegrad plan`: a section of a plan as a device runs it, dispatch by dispatch (on the CPU pass by pass), and the
//! memory that it needs.
//!
//! Each line reads like an assignment: the tensors written, an arrow, the tensors read. `*conv1.w` is the texture copy
//! of `conv1.w`; the copy commands that update it are listed where they happen. In the lists of storages and textures
//! below, `conv2.y #4-5` says that the storage or texture holds `conv2.y` from dispatch 4 to dispatch 5.

use super::compile::Compiled;
use crate::error::Result;
use crate::gpu::{Command, Dispatch, Mirrors, Operand, Recording};
use crate::ops::{ChooseKernel, Joined, record};
use crate::plan::{Pass, Plan, Tensor, TensorId};
use crate::storage::{Region, StorageId};
use crate::table::{
    Align::{Left, Right},
    Page, Table, bytes, grouped,
};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

impl Compiled {
    /// Lists the dispatches of a section, and the storages and textures that they use.
    pub fn listing(&self, passes: &[Pass], config: &impl ChooseKernel) -> Result<Page> {
        let section = Section::new(self, passes, config)?;
        let mirrors = Mirrors::new(&[&section.recording]);
        let mut page = section.dispatches();
        page.text("\n");
        page.table(section.storages(&mirrors));
        if mirrors.textures().count() > 0 {
            page.text("\n");
            page.table(section.textures(&mirrors));
        }
        page.text(format!("\n{}", section.total(&mirrors)));
        Ok(page)
    }
}

impl Compiled {
    /// Lists the passes of a section as the CPU runs them, and the storages that they use.
    pub fn cpu_listing(&self, passes: &[Pass]) -> Page {
        let plan = &self.plan;
        let mut table = Table::new(
            ["#", "pass", "function", "FLOPs", "writes", "", "reads"],
            [Right, Left, Left, Right, Left, Left, Left],
        );
        let names = |ids: &[TensorId]| ids.iter().map(|id| plan.get(*id).name.as_str()).collect::<Vec<_>>().join(" ");
        for (index, pass) in passes.iter().enumerate() {
            let flops = Some(pass.op.flops()).filter(|flops| *flops > 0).map_or_else(String::new, grouped);
            let (writes, reads) = (names(&pass.outputs), names(&pass.inputs));
            let number = (index + 1).to_string();
            table.row([number, pass.label.clone(), pass.op.name().into(), flops, writes, "←".into(), reads]);
        }
        let mut page = Page::from(table);
        page.text(format!("\n{} passes\n\n", passes.len()));
        let mut table = Table::new(["storage", "elements", "bytes", "holds"], [Left, Right, Right, Left]);
        let mut all = 0;
        for (id, tensors) in used(plan, passes) {
            let storage = &plan.storages[id.0];
            let size = 4 * storage.len as u64;
            all += size;
            table.row([
                storage.name.clone(),
                grouped(storage.len as u64),
                bytes(size),
                match storage.in_turns {
                    true => in_turns(plan, &tensors, passes.iter().zip(1..)),
                    false => side_by_side(plan, &storage.name, &tensors),
                },
            ]);
        }
        page.table(table);
        page.text(format!("\n{} of memory; #4-5 marks a tensor that is held from pass 4 to pass 5 only\n", bytes(all)));
        page
    }
}

impl Compiled {
    /// [`Compiled::listing`] as JSON: the dispatches and copies in their order, and the memory in bytes.
    ///
    /// # Errors
    ///
    /// Those of recording the passes.
    pub fn listing_json(&self, passes: &[Pass], config: &impl ChooseKernel) -> Result<serde_json::Value> {
        let section = Section::new(self, passes, config)?;
        let mirrors = Mirrors::new(&[&section.recording]);
        let command = |(command, pass, number): (&Command, &Pass, usize)| match command {
            Command::Dispatch(dispatch) => {
                serde_json::json!({
                    "number": number, "pass": dispatch.label, "kernel": dispatch.kernel.name(), "grid": dispatch.groups,
                    "writes": section.names(pass, &dispatch.writes), "reads": section.names(pass, &dispatch.reads),
                })
            }
            Command::Mirror { region, .. } => {
                let name = section.plan.name(Some(pass), region);
                serde_json::json!({"copy": name, "to": format!("*{name}")})
            }
        };
        let storages = used(&self.plan, section.recorded()).into_keys().map(|id| {
            let storage = &self.plan.storages[id.0];
            serde_json::json!({"name": storage.name, "bytes": mirrors.buffer_bytes(id, storage.len)})
        });
        Ok(serde_json::json!({
            "commands": section.commands().map(command).collect::<Vec<_>>(),
            "storages": storages.collect::<Vec<_>>(),
            "textures": mirrors.textures().collect::<Vec<u64>>(),
            "scratch_bytes": 4 * section.recording.scratch_len() as u64,
        }))
    }

    /// [`Compiled::cpu_listing`] as JSON.
    pub fn cpu_listing_json(&self, passes: &[Pass]) -> serde_json::Value {
        let plan = &self.plan;
        let names = |ids: &[TensorId]| ids.iter().map(|id| plan.get(*id).name.clone()).collect::<Vec<_>>();
        let pass = |(pass, number): (&Pass, usize)| {
            serde_json::json!({
                "number": number, "pass": pass.label, "function": pass.op.name(), "flops": pass.op.flops(),
                "writes": names(&pass.outputs), "reads": names(&pass.inputs),
            })
        };
        let storages = used(plan, passes).into_keys().map(|id| {
            let storage = &plan.storages[id.0];
            serde_json::json!({"name": storage.name, "bytes": 4 * storage.len as u64})
        });
        serde_json::json!({
            "passes": passes.iter().zip(1..).map(pass).collect::<Vec<_>>(),
            "storages": storages.collect::<Vec<_>>(),
        })
    }
}

/// A recorded section.
struct Section<'a> {
    plan: &'a Plan,
    passes: &'a [Pass],
    joined: Vec<Joined<'a>>,
    recording: Recording,
    /// For each command, the index of its pass in `joined` and the number of the dispatch; for a copy, that of the next
    /// dispatch.
    places: Vec<(usize, usize)>,
}

impl<'a> Section<'a> {
    fn new(compiled: &'a Compiled, passes: &'a [Pass], config: &impl ChooseKernel) -> Result<Section<'a>> {
        let plan = &compiled.plan;
        let joined = compiled.joined(passes, config);
        let mut recording = Recording::new();
        let mut places = Vec::new();
        let mut number = 1;
        for (index, joined) in joined.iter().enumerate() {
            record(plan, joined.pass(), config.config(&joined.passes[0].label), &mut recording)?;
            for command in &recording.commands[places.len()..] {
                places.push((index, number));
                number += usize::from(matches!(command, Command::Dispatch(_)));
            }
        }
        Ok(Section { plan, passes, joined, recording, places })
    }

    /// The commands with their passes and numbers.
    fn commands(&self) -> impl Iterator<Item = (&Command, &Pass, usize)> + Clone {
        let places = self.recording.commands.iter().zip(&self.places);
        places.map(|(command, (index, number))| (command, self.joined[*index].pass(), *number))
    }

    /// The passes as they are recorded.
    fn recorded(&self) -> impl Iterator<Item = &Pass> {
        self.joined.iter().map(Joined::pass)
    }

    fn dispatches(&self) -> Page {
        let heading = ["#", "pass", "kernel", "grid", "workgroups", "writes", "", "reads"];
        let mut table = Table::new(heading, [Right, Left, Left, Right, Right, Left, Left, Left]);
        for (command, pass, number) in self.commands() {
            table.row(match command {
                Command::Dispatch(dispatch) => self.dispatch(number, pass, dispatch),
                Command::Mirror { region, .. } => self.copy(pass, region),
            });
        }
        let dispatches = self.recording.dispatches().count();
        let copies = self.recording.commands.len() - dispatches;
        let mut text = format!("\n{} passes, {dispatches} dispatches", self.passes.len());
        if copies > 0 {
            text += &format!(", {copies} copies to textures (*)");
        }
        text.push('\n');
        let mut page = Page::from(table);
        page.text(text);
        page
    }

    fn dispatch(&self, number: usize, pass: &Pass, dispatch: &Dispatch) -> [String; 8] {
        let [x, y] = dispatch.groups;
        [
            number.to_string(),
            dispatch.label.clone(),
            dispatch.kernel.name().to_string(),
            format!("{x}x{y}"),
            grouped(u64::from(x) * u64::from(y)),
            self.names(pass, &dispatch.writes).join(" "),
            "←".into(),
            self.names(pass, &dispatch.reads).join(" "),
        ]
    }

    /// The names of operands: `conv1.y`, `*conv1.w` for a texture, `scratch[38,400]`.
    fn names(&self, pass: &Pass, operands: &[(&'static str, Operand)]) -> Vec<String> {
        let name = |(_, operand): &(&'static str, Operand)| match operand {
            Operand::Buffer(region) => self.plan.name(Some(pass), region),
            Operand::Mirror(region) => format!("*{}", self.plan.name(Some(pass), region)),
            Operand::Scratch(len) => format!("scratch[{}]", grouped(*len as u64)),
        };
        operands.iter().map(name).collect()
    }

    fn copy(&self, pass: &Pass, region: &Region) -> [String; 8] {
        let name = self.plan.name(Some(pass), region);
        let empty = String::new;
        [empty(), empty(), "copy".into(), empty(), empty(), format!("*{name}"), "←".into(), name]
    }

    /// The storages that the section uses, with the tensors used in each.
    fn storages(&self, mirrors: &Mirrors) -> Table {
        let mut table = Table::new(["storage", "elements", "bytes", "holds"], [Left, Right, Right, Left]);
        for (id, tensors) in used(self.plan, self.recorded()) {
            let storage = &self.plan.storages[id.0];
            table.row([
                storage.name.clone(),
                grouped(storage.len as u64),
                bytes(mirrors.buffer_bytes(id, storage.len)),
                match storage.in_turns {
                    true => in_turns(self.plan, &tensors, self.commands().map(|(_, pass, number)| (pass, number))),
                    false => side_by_side(self.plan, &storage.name, &tensors),
                },
            ]);
        }
        table
    }

    /// The textures, with the tensors copied to them.
    fn textures(&self, mirrors: &Mirrors) -> Table {
        let mut held: Vec<Vec<(String, RangeInclusive<usize>)>> = mirrors.textures().map(|_| Vec::new()).collect();
        // The texture and the entry of `held` for the latest copy of each region.
        let mut current: Vec<(Region, usize, usize)> = Vec::new();
        for (command, pass, number) in self.commands() {
            match command {
                Command::Mirror { region, .. } => {
                    let Some(texture) = mirrors.texture(region) else { continue };
                    current.retain(|(known, ..)| known != region);
                    current.push((*region, texture, held[texture].len()));
                    held[texture].push((format!("*{}", self.plan.name(Some(pass), region)), number..=number));
                }
                Command::Dispatch(dispatch) => {
                    let is_read = |region: &Region| dispatch.reads.iter().any(|(_, o)| *o == Operand::Mirror(*region));
                    for (_, texture, at) in current.iter().filter(|(region, ..)| is_read(region)) {
                        let (_, alive) = &mut held[*texture][*at];
                        *alive = *alive.start()..=number;
                    }
                }
            }
        }
        let mut table = Table::new(["texture", "bytes", "holds"], [Left, Right, Left]);
        for ((index, size), held) in mirrors.textures().enumerate().zip(held) {
            let held: Vec<_> = held.into_iter().map(|(name, alive)| format!("{name} {}", numbers(&alive))).collect();
            table.row([(index + 1).to_string(), bytes(size), held.join(", ")]);
        }
        table
    }

    /// The device memory that the section needs, and how much sharing saves.
    fn total(&self, mirrors: &Mirrors) -> String {
        let size = |id: StorageId| mirrors.buffer_bytes(id, self.plan.storages[id.0].len);
        let used = used(self.plan, self.recorded());
        let storages: u64 = used.keys().map(|id| size(*id)).sum();
        let apart = used.iter().map(|(id, tensors)| match self.plan.storages[id.0].in_turns {
            true => tensors.iter().map(|id| 4 * self.plan.get(*id).region.len as u64).sum(),
            false => size(*id),
        });
        let apart = apart.sum::<u64>() + mirrors.bytes_apart();
        let textures: u64 = mirrors.textures().sum();
        let scratch = 4 * self.recording.scratch_len() as u64;
        let all = storages + textures + scratch;
        let mut text = format!("{} of device memory: {} in storages", bytes(all), bytes(storages));
        if textures > 0 {
            text += &format!(", {} in textures", bytes(textures));
        }
        if scratch > 0 {
            text += &format!(", {} of scratch", bytes(scratch));
        }
        let saved = apart.saturating_sub(storages + textures);
        text += &format!(
            "\n{} saved by sharing: #4-5 marks a tensor that is held from dispatch 4 to dispatch 5 only\n",
            bytes(saved)
        );
        text
    }
}

/// The tensors that passes use, by storage.
fn used<'p>(plan: &Plan, passes: impl IntoIterator<Item = &'p Pass>) -> BTreeMap<StorageId, Vec<TensorId>> {
    let mut used: BTreeMap<StorageId, Vec<TensorId>> = BTreeMap::new();
    for id in passes.into_iter().flat_map(|pass| pass.inputs.iter().chain(&pass.outputs)) {
        let tensors = used.entry(plan.get(*id).region.storage).or_default();
        if !tensors.contains(id) {
            tensors.push(*id);
        }
    }
    used
}

/// The tensors in the order of their lifetimes, with the numbers of the passes from first to last use.
fn in_turns<'p>(
    plan: &Plan,
    tensors: &[TensorId],
    numbered: impl Iterator<Item = (&'p Pass, usize)> + Clone,
) -> String {
    let one = |id: &TensorId| {
        let uses = |pass: &Pass| pass.inputs.contains(id) || pass.outputs.contains(id);
        let mut at = numbered.clone().filter(|(pass, _)| uses(pass)).map(|(_, number)| number);
        let first = at.next().unwrap_or(0);
        let alive = first..=at.last().unwrap_or(first);
        format!("{} {}", described(plan.get(*id)), numbers(&alive))
    };
    tensors.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// The tensors of a storage by name, or only the shape if it is a single tensor of the same name.
fn side_by_side(plan: &Plan, storage: &str, tensors: &[TensorId]) -> String {
    let mut tensors: Vec<&Tensor> = tensors.iter().map(|id| plan.get(*id)).collect();
    tensors.sort_by_key(|tensor| tensor.region.offset);
    match tensors[..] {
        [only] if only.name == storage && only.shape.len() == 1 => String::new(),
        [only] if only.name == storage => shape(only),
        _ => {
            let parts = tensors.into_iter().filter(|tensor| tensor.name != storage);
            parts.map(described).collect::<Vec<_>>().join(", ")
        }
    }
}

/// Name and shape, for example `conv1.y 100x26x26x32`.
fn described(tensor: &Tensor) -> String {
    format!("{} {}", tensor.name, shape(tensor))
}

fn shape(tensor: &Tensor) -> String {
    tensor.shape.iter().map(usize::to_string).collect::<Vec<_>>().join("x")
}

/// A range of passes, for example `#4-5`.
fn numbers(alive: &RangeInclusive<usize>) -> String {
    let (first, last) = (alive.start(), alive.end());
    if first == last { format!("#{first}") } else { format!("#{first}-{last}") }
}
