//! A launch as a sentence: a kernel, what it is joined with, what it reads and writes, and how often it runs.
//!
//! ```text
//! to.kernel(wgsl!("activation/forward.wgsl")).with(f.source()).reads("x").writes("y").for_each(n)
//! ```
//!
//! Files are joined and operands listed in the order of the sentence. Its last word records it: [`KernelLaunch::for_each`],
//! [`KernelLaunch::for_each_pack`], [`KernelLaunch::single_group`] or [`KernelLaunch::groups`]. What stands behind an
//! operand or a pack is in `operand.rs`, what becomes of sums in `epilogue.rs`.

use super::{KernelConfig, Recorder};
use crate::gpu::{Constant, Dispatch, KernelSpec, Operand, ShaderFile, Variant, fold};
use crate::wgsl;

/// One dispatch of a pass, while it is put together.
#[must_use = "a launch is recorded by its last word: for_each, for_each_pack, single_group or groups"]
pub(crate) struct KernelLaunch<'r, 'a> {
    pub(super) to: &'r mut Recorder<'a>,
    part: &'static str,
    kernel: KernelSpec,
    pub(super) reads: Vec<(&'static str, Operand)>,
    writes: Vec<(&'static str, Operand)>,
    pub(super) variant: Variant,
    pub(super) at_once: usize,
}

impl<'r, 'a> KernelLaunch<'r, 'a> {
    pub(super) fn new(to: &'r mut Recorder<'a>, pass: &'static ShaderFile) -> Self {
        KernelLaunch {
            to,
            part: "",
            kernel: KernelSpec::new([pass]),
            reads: Vec::new(),
            writes: Vec::new(),
            variant: Variant::default(),
            at_once: 1,
        }
    }

    /// Which kernels are taken where there is a choice.
    pub fn config(&self) -> &'a KernelConfig {
        self.to.config
    }

    /// Joins another file.
    pub fn with(mut self, file: &'static ShaderFile) -> Self {
        self.kernel = self.kernel.with([file]);
        self
    }

    /// Sets a constant.
    pub fn set(mut self, name: &'static str, value: impl Into<Constant>) -> Self {
        self.kernel = self.kernel.set(name, value);
        self
    }

    /// Sets several constants of one type.
    pub fn set_all<T: Into<Constant>>(mut self, values: impl IntoIterator<Item = (&'static str, T)>) -> Self {
        self.kernel = self.kernel.set_all(values);
        self
    }

    /// Says more where a condition holds.
    pub fn when(self, condition: bool, more: impl FnOnce(Self) -> Self) -> Self {
        if condition { more(self) } else { self }
    }

    /// Labels the dispatch `<pass>.<part>`, as one of several of its pass.
    pub fn part(mut self, part: &'static str) -> Self {
        self.part = part;
        self
    }

    /// Reads a tensor through the binding of its name.
    pub fn reads(self, tensor: &'static str) -> Self {
        self.reads_as(tensor, tensor)
    }

    /// Reads a tensor through a binding of another name.
    pub fn reads_as(mut self, binding: &'static str, tensor: &str) -> Self {
        self.reads.push((binding, Operand::Buffer(self.to.region(tensor))));
        self
    }

    /// Reads `len` elements that a dispatch before it left in scratch.
    pub fn reads_scratch(mut self, binding: &'static str, len: usize) -> Self {
        self.reads.push((binding, Operand::Scratch(len)));
        self
    }

    /// Writes a tensor through the binding of its name.
    pub fn writes(self, tensor: &'static str) -> Self {
        self.writes_as(tensor, tensor)
    }

    /// Writes a tensor through a binding of another name.
    pub fn writes_as(mut self, binding: &'static str, tensor: &str) -> Self {
        self.writes.push((binding, Operand::Buffer(self.to.region(tensor))));
        self
    }

    /// Writes `len` elements of scratch, for the dispatches behind it.
    pub fn writes_scratch(mut self, binding: &'static str, len: usize) -> Self {
        self.writes.push((binding, Operand::Scratch(len)));
        self
    }

    /// Runs one invocation for each of `count` items. The kernel takes its number from `linear_index()` of
    /// `shared/linear.wgsl`, which is joined here.
    pub fn for_each(self, count: usize) -> &'r mut Recorder<'a> {
        const WORKGROUP: usize = 64;
        self.with(wgsl!("shared/linear.wgsl")).set("COUNT", count).groups(count.div_ceil(WORKGROUP))
    }

    /// Runs one invocation for each pack of `elements` elements: as many in a pack as the kernel takes at once.
    pub fn for_each_pack(self, elements: usize) -> &'r mut Recorder<'a> {
        let packs = elements.div_ceil(self.at_once);
        self.for_each(packs)
    }

    /// Runs `groups` workgroups, in a grid that is folded where they are many; `shared/linear.wgsl` is joined already.
    pub fn groups(self, groups: usize) -> &'r mut Recorder<'a> {
        let groups = fold(groups, self.config().max_groups);
        self.set("GROUPS_X", groups[0]).record(groups)
    }

    /// Runs one workgroup.
    pub fn single_group(self) -> &'r mut Recorder<'a> {
        self.record([1, 1])
    }

    fn record(self, groups: [u32; 2]) -> &'r mut Recorder<'a> {
        let KernelLaunch { to, part, kernel, reads, writes, variant, .. } = self;
        let (label, cost) = (to.label_of(part), to.cost(reads.iter().chain(&writes)));
        to.dispatch(Dispatch { label, kernel, reads, writes, groups, cost, variant });
        to
    }
}
