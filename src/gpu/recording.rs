//! A list of dispatches as plain data: which kernels run, on which regions, in how many workgroups.
//!
//! A dispatch may read an operand through a *mirror*, a storage texture that holds a copy of the region: on software
//! drivers, texture loads are about three times as fast as buffer loads. The recording tracks which regions have been
//! written, and inserts a copy only where a mirror is out of date.

use super::shader::KernelSpec;
use crate::storage::Region;

/// Largest number of workgroups per dimension that every WebGPU device supports.
pub const MAX_GROUPS: u32 = 65_535;

/// The memory that is bound to a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operand {
    /// A region of a storage, as a buffer.
    Buffer(Region),
    /// The texture mirror of the region; texel `i` holds its elements `4i` to `4i + 3`.
    Mirror(Region),
    /// Scratch memory of this many elements, for partial results; its content lasts until the next dispatch that writes
    /// to scratch memory.
    Scratch(usize),
}

/// The amount of work of a dispatch, to put its time in relation to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Multiplications and additions; 0 if they are not worth counting.
    pub flops: u64,
    /// Bytes of its operands that must be read or written at least once.
    pub bytes: u64,
}

/// The variant of its kernel that a dispatch runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variant {
    /// Form, tile and operand sources of the matrix engine, if the kernel uses it.
    pub engine: Option<String>,
    /// Whether operands are read from textures that other variants read from storages.
    pub textures: bool,
    /// Whether memory is read and written in 64-bit words.
    pub wide: bool,
}

/// A kernel with its operands, to be run once.
#[derive(Clone, Debug)]
pub struct Dispatch {
    /// Label in plans, profiles, debuggers and errors: `<layer>.<pass>`.
    pub label: String,
    /// The kernel that runs.
    pub kernel: KernelSpec,
    /// Operands that are read, by the names in the shader.
    pub reads: Vec<(&'static str, Operand)>,
    /// Operands that are written, by the names in the shader.
    pub writes: Vec<(&'static str, Operand)>,
    /// Numbers of workgroups in x and y, at most 65,535 each: see [`fold`].
    pub groups: [u32; 2],
    /// Work of the dispatch.
    pub cost: Work,
    /// Variant of the kernel.
    pub variant: Variant,
}

impl Dispatch {
    fn does_the_same(&self, other: &Dispatch) -> bool {
        let operands = |dispatch: &Dispatch| [dispatch.reads.clone(), dispatch.writes.clone()];
        let is_same = self.groups == other.groups && operands(self) == operands(other);
        is_same && self.kernel.does_the_same(&other.kernel)
    }
}

/// One command of a program.
#[derive(Clone, Debug)]
pub enum Command {
    /// Run a kernel.
    Dispatch(Dispatch),
    /// Bring the mirror of a region up to date.
    Mirror {
        /// Label of the dispatch that reads the mirror.
        label: String,
        /// Region that is copied.
        region: Region,
    },
}

/// The commands of one program, in order.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    /// Commands in the order in which they run.
    pub commands: Vec<Command>,
    /// Number of commands before each pass.
    pub(super) marks: Vec<usize>,
    fresh: Vec<Region>,
}

impl Recording {
    /// A recording without commands.
    pub fn new() -> Self {
        Recording::default()
    }

    /// Notes that the next command is the first of another pass.
    pub fn mark(&mut self) {
        self.marks.push(self.commands.len());
    }

    /// Notes that the host overwrites a region here, so that mirrors of it are out of date.
    pub fn overwritten(&mut self, region: &Region) {
        self.fresh.retain(|mirrored| !mirrored.overlaps(region));
    }

    // ANCHOR: dispatch
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
                self.overwritten(written);
            }
        }
        self.commands.push(Command::Dispatch(dispatch));
    }
    // ANCHOR_END: dispatch

    /// Whether two recordings run the same commands, regardless of the descriptions of their variants.
    pub(crate) fn does_the_same(&self, other: &Recording) -> bool {
        let same = |(one, other): (&Command, &Command)| match (one, other) {
            (Command::Dispatch(one), Command::Dispatch(other)) => one.does_the_same(other),
            (Command::Mirror { region: one, .. }, Command::Mirror { region: other, .. }) => one == other,
            _ => false,
        };
        self.commands.len() == other.commands.len() && self.commands.iter().zip(&other.commands).all(same)
    }

    /// The dispatches, without the copies.
    pub fn dispatches(&self) -> impl Iterator<Item = &Dispatch> {
        self.commands.iter().filter_map(|command| match command {
            Command::Dispatch(dispatch) => Some(dispatch),
            Command::Mirror { .. } => None,
        })
    }

    /// Description of the variant, over all dispatches: `subgroup 64x32 (8x32 each), texture, 64 groups, 64-bit words`.
    /// Empty for the plain variant.
    pub fn variant(&self) -> String {
        let any = |is: fn(&Dispatch) -> bool| self.dispatches().any(is);
        // The description of an engine already says where it reads from.
        let engine = self.dispatches().find_map(|dispatch| dispatch.variant.engine.clone());
        let textures = || any(|dispatch| dispatch.variant.textures).then(|| "texture".to_string());
        let wide = any(|dispatch| dispatch.variant.wide).then(|| "64-bit words".to_string());
        let folded = any(|dispatch| dispatch.groups[1] > 1).then(|| "folded grid".to_string());
        [engine.or_else(textures), wide, folded].into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    /// Number of elements of scratch memory that the largest user needs.
    pub(crate) fn scratch_len(&self) -> usize {
        let operands = self.dispatches().flat_map(|d| d.reads.iter().chain(&d.writes));
        operands.map(|(_, operand)| if let Operand::Scratch(len) = operand { *len } else { 0 }).max().unwrap_or(0)
    }
}

/// Folds `groups` workgroups into two dimensions of at most `limit` each. Kernels recover the linear index with
/// `linear_group` (`shaders/shared/linear.wgsl`); excess workgroups return at once.
pub fn fold(groups: usize, limit: u32) -> [u32; 2] {
    let limit = limit.max(1) as usize;
    let y = groups.div_ceil(limit).max(1);
    [groups.div_ceil(y).max(1) as u32, y as u32]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::StorageId;

    fn recording(variant: Variant, groups: [u32; 2]) -> Recording {
        let operand = ("x", Operand::Buffer(Region { storage: StorageId(0), offset: 0, len: 4 }));
        let dispatch = Dispatch {
            label: "pass".into(),
            kernel: KernelSpec::new([]).set("M", 3_usize).set("N", 4_usize),
            reads: vec![operand],
            writes: Vec::new(),
            groups,
            cost: Work::default(),
            variant,
        };
        Recording { commands: vec![Command::Dispatch(dispatch)], ..Recording::new() }
    }

    #[test]
    fn variants_are_described() {
        let engine = || Some("register 64x16".to_string());
        for (variant, groups, name) in [
            (Variant::default(), [9, 1], ""),
            (Variant { textures: true, ..Variant::default() }, [9, 1], "texture"),
            (Variant { engine: engine(), textures: true, wide: false }, [9, 1], "register 64x16"),
            (
                Variant { engine: engine(), textures: false, wide: true },
                [3, 3],
                "register 64x16, 64-bit words, folded grid",
            ),
            (Variant { textures: true, wide: true, engine: None }, [3, 3], "texture, 64-bit words, folded grid"),
        ] {
            assert_eq!(recording(variant, groups).variant(), name);
        }
    }

    #[test]
    fn recordings_are_compared_by_what_runs() {
        let one = recording(Variant::default(), [9, 1]);
        let named = recording(Variant { wide: true, ..Variant::default() }, [9, 1]);
        assert!(one.does_the_same(&named));
        let differs = |change: fn(&mut Dispatch)| {
            let mut other = one.clone();
            let [Command::Dispatch(dispatch)] = &mut other.commands[..] else { panic!("one dispatch") };
            change(dispatch);
            !one.does_the_same(&other) && !other.does_the_same(&one)
        };
        assert!(!differs(|dispatch| dispatch.kernel.constants.reverse()));
        assert!(differs(|dispatch| dispatch.groups = [3, 3]));
        assert!(differs(|dispatch| dispatch.kernel.constants[0].1 = 4_usize.into()));
        assert!(differs(|dispatch| dispatch.kernel.constants.truncate(1)));
        assert!(differs(|dispatch| dispatch.reads[0].0 = "y"));
        assert!(differs(|dispatch| dispatch.reads.clear()));
        assert!(differs(|dispatch| dispatch.kernel.sources.push(crate::wgsl!("shared/linear.wgsl"))));
        assert!(!one.does_the_same(&Recording::new()));
    }
}
