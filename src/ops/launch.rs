//! A builder for launches: a kernel, the files joined to it, its operands, and the number of invocations.
//!
//! ```text
//! to.kernel(wgsl!("activation/forward.wgsl")).with(f.source()).reads("x").writes("y").for_each(n)
//! ```
//!
//! Files are joined and operands are listed in the order of the calls. The last call records the launch:
//! [`KernelLaunch::for_each`], [`KernelLaunch::for_each_pack`], [`KernelLaunch::single_group`] or
//! [`KernelLaunch::groups`]. Operand sources and packs are in `operand.rs`, epilogues in `epilogue.rs`.

use super::{KernelConfig, Recorder};
use crate::gpu::{Constant, Dispatch, KernelSpec, Operand, ShaderFile, Variant, fold};
use crate::wgsl;

/// One dispatch of a pass, under construction.
#[must_use = "a launch is only recorded by for_each, for_each_pack, single_group or groups"]
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

    /// The kernel configuration of the pass.
    pub fn config(&self) -> &'a KernelConfig {
        self.to.config
    }

    /// Joins another file, unless it is joined already.
    pub fn with(mut self, file: &'static ShaderFile) -> Self {
        if !self.kernel.sources.contains(&file) {
            self.kernel = self.kernel.with([file]);
        }
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

    /// Applies `more` to the launch if a condition holds.
    pub fn when(self, condition: bool, more: impl FnOnce(Self) -> Self) -> Self {
        if condition { more(self) } else { self }
    }

    /// Labels the dispatch `<pass>.<part>`, for passes with several dispatches.
    pub fn part(mut self, part: &'static str) -> Self {
        self.part = part;
        self
    }

    /// Binds a tensor for reading, to the binding of the same name.
    pub fn reads(self, tensor: &'static str) -> Self {
        self.reads_as(tensor, tensor)
    }

    /// Binds a tensor for reading, to a binding of another name.
    pub fn reads_as(mut self, binding: &'static str, tensor: &str) -> Self {
        self.reads.push((binding, Operand::Buffer(self.to.region(tensor))));
        self
    }

    /// Binds `len` elements of scratch memory for reading, which an earlier dispatch has written.
    pub fn reads_scratch(mut self, binding: &'static str, len: usize) -> Self {
        self.reads.push((binding, Operand::Scratch(len)));
        self
    }

    /// Binds a tensor for writing, to the binding of the same name.
    pub fn writes(self, tensor: &'static str) -> Self {
        self.writes_as(tensor, tensor)
    }

    /// Binds a tensor for writing, to a binding of another name.
    pub fn writes_as(mut self, binding: &'static str, tensor: &str) -> Self {
        self.writes.push((binding, Operand::Buffer(self.to.region(tensor))));
        self
    }

    /// Binds `len` elements of scratch memory for writing, for later dispatches of the pass.
    pub fn writes_scratch(mut self, binding: &'static str, len: usize) -> Self {
        self.writes.push((binding, Operand::Scratch(len)));
        self
    }

    /// Runs one invocation for each of `count` items. The kernel gets its index from `linear_index()` in
    /// `shared/linear.wgsl`, which is joined here.
    pub fn for_each(self, count: usize) -> &'r mut Recorder<'a> {
        const WORKGROUP: usize = 64;
        self.with(wgsl!("shared/linear.wgsl")).set("COUNT", count).groups(count.div_ceil(WORKGROUP))
    }

    /// Runs one invocation for each pack of `elements` elements; the size of a pack is that set by
    /// [`KernelLaunch::at_once()`].
    pub fn for_each_pack(self, elements: usize) -> &'r mut Recorder<'a> {
        let packs = elements.div_ceil(self.at_once);
        self.for_each(packs)
    }

    /// Runs `groups` workgroups, in a grid that is folded into two dimensions if it is large. `shared/linear.wgsl` must
    /// have been joined already.
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
