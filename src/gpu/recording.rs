//! A list of dispatches as plain data: what will run, on which regions, in how many workgroups.
//!
//! A dispatch may read an operand through a *mirror*, a storage texture that holds a copy of the region: on software
//! drivers texture loads are about three times as fast as buffer loads. The recording knows what has been written since,
//! and inserts a copy exactly where a mirror is stale.

use super::shader::KernelSpec;
use crate::storage::Region;

/// Most workgroups in one dimension that every WebGPU device takes.
pub const MAX_GROUPS: u32 = 65_535;

/// What stands behind a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operand {
    /// A region of a storage, as a buffer.
    Buffer(Region),
    /// The texture mirror of the region; texel `i` holds its elements `4i` to `4i + 3`.
    Mirror(Region),
    /// Room for partial results that live until the next dispatch that asks for scratch, in elements.
    Scratch(usize),
}

/// What a dispatch is for, in numbers: what its time is compared with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Multiplications and additions, where they are worth counting.
    pub flops: u64,
    /// Bytes of its operands that it must read or write at least once.
    pub bytes: u64,
}

/// One dispatch.
#[derive(Clone, Debug)]
pub struct Dispatch {
    /// `<layer>.<pass>`: what plan, profile, debugger and errors print.
    pub label: String,
    /// The kernel.
    pub kernel: KernelSpec,
    /// Operands that are read, by the names in the shader.
    pub reads: Vec<(&'static str, Operand)>,
    /// Operands that are written.
    pub writes: Vec<(&'static str, Operand)>,
    /// Workgroups, folded to at most [`MAX_GROUPS`] in x.
    pub groups: [u32; 2],
    /// Its work.
    pub cost: Cost,
}

/// One command of a program.
#[derive(Clone, Debug)]
pub enum Command {
    /// Run a kernel.
    Dispatch(Dispatch),
    /// Bring the mirror of a region up to date.
    Mirror {
        /// For whom.
        label: String,
        /// What is copied.
        region: Region,
    },
}

/// The commands of one program, in order.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    /// In order.
    pub commands: Vec<Command>,
    fresh: Vec<Region>,
}

impl Recording {
    /// An empty list.
    pub fn new() -> Self {
        Recording::default()
    }

    /// Appends a dispatch, and before it the copies that its mirrors need.
    pub fn dispatch(&mut self, dispatch: Dispatch) {
        for (_, operand) in &dispatch.reads {
            if let Operand::Mirror(region) = operand
                && !self.fresh.contains(region)
            {
                self.commands.push(Command::Mirror { label: dispatch.label.clone(), region: *region });
                self.fresh.push(*region);
            }
        }
        for (_, operand) in &dispatch.writes {
            if let Operand::Buffer(written) = operand {
                self.fresh.retain(|region| !region.overlaps(written));
            }
        }
        self.commands.push(Command::Dispatch(dispatch));
    }

    /// The dispatches, without the copies.
    pub fn dispatches(&self) -> impl Iterator<Item = &Dispatch> {
        self.commands.iter().filter_map(|command| match command {
            Command::Dispatch(dispatch) => Some(dispatch),
            Command::Mirror { .. } => None,
        })
    }

    /// Elements of scratch that the largest user needs.
    pub fn scratch_len(&self) -> usize {
        let operands = self.dispatches().flat_map(|d| d.reads.iter().chain(&d.writes));
        operands.map(|(_, operand)| if let Operand::Scratch(len) = operand { *len } else { 0 }).max().unwrap_or(0)
    }
}

/// Folds `groups` workgroups into two dimensions of at most `limit` each. The kernel finds its place again with
/// `linear_group` (`shaders/shared/linear.wgsl`); workgroups past the last are left over and return at once.
pub fn fold(groups: usize, limit: u32) -> [u32; 2] {
    let limit = limit.max(1) as usize;
    let y = groups.div_ceil(limit).max(1);
    [groups.div_ceil(y).max(1) as u32, y as u32]
}
