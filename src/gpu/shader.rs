//! From `.wgsl` files to a validated module with reflected bindings.
//!
//! A kernel's source is the concatenation of a list of files, the pass first and the shared functions after it, so that
//! every error can be traced back to a line of a file. Specializing a kernel replaces the values of top-level constants
//! (`const TM = 8u;`), whose values in the file are working defaults. The text is not changed in any other way.

use crate::error::{Error, Result};
use naga::valid::Capabilities;
use std::fmt::{self, Write};

/// One hand-written `.wgsl` file, embedded in the binary.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct ShaderFile {
    /// Path from the root of the repository, as error messages print it.
    pub path: &'static str,
    /// The file's text.
    pub text: &'static str,
}

/// A file below `shaders/` as a `&'static ShaderFile`: `wgsl!("dense/forward.wgsl")`.
#[macro_export]
macro_rules! wgsl {
    ($path:literal) => {{
        static SOURCE: $crate::gpu::ShaderFile = $crate::gpu::ShaderFile {
            path: concat!("shaders/", $path),
            text: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/", $path)),
        };
        &SOURCE
    }};
}

/// The value of a specialized constant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Constant {
    /// A `u32`.
    U32(u32),
    /// An `f32`.
    F32(f32),
    /// A `bool`.
    Bool(bool),
}

impl From<usize> for Constant {
    fn from(value: usize) -> Self {
        Constant::U32(u32::try_from(value).unwrap_or(u32::MAX))
    }
}
impl From<u32> for Constant {
    fn from(value: u32) -> Self {
        Constant::U32(value)
    }
}
impl From<f32> for Constant {
    fn from(value: f32) -> Self {
        Constant::F32(value)
    }
}
impl From<bool> for Constant {
    fn from(value: bool) -> Self {
        Constant::Bool(value)
    }
}

impl fmt::Display for Constant {
    /// The value as a WGSL literal. `{:?}` formats an f32 as the shortest text that parses to the same bits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Constant::U32(v) => write!(f, "{v}u"),
            Constant::F32(v) => write!(f, "{v:?}f"),
            Constant::Bool(v) => write!(f, "{v}"),
        }
    }
}

/// The sources and constants of a kernel. Equal specifications share one pipeline.
#[derive(Clone, Debug, PartialEq)]
pub struct KernelSpec {
    /// The file of the pass, then the shared files that it uses.
    pub sources: Vec<&'static ShaderFile>,
    /// Constants whose values are replaced, with the new values.
    pub constants: Vec<(&'static str, Constant)>,
}

impl KernelSpec {
    /// A kernel made of these files, with every constant at its default.
    pub fn new(sources: impl IntoIterator<Item = &'static ShaderFile>) -> Self {
        KernelSpec { sources: sources.into_iter().collect(), constants: Vec::new() }
    }

    /// Appends shared files.
    pub fn with(mut self, sources: impl IntoIterator<Item = &'static ShaderFile>) -> Self {
        self.sources.extend(sources);
        self
    }

    /// Sets a constant.
    pub fn set(mut self, name: &'static str, value: impl Into<Constant>) -> Self {
        self.constants.push((name, value.into()));
        self
    }

    /// Sets several constants of one type.
    pub fn set_all<T: Into<Constant>>(mut self, values: impl IntoIterator<Item = (&'static str, T)>) -> Self {
        self.constants.extend(values.into_iter().map(|(name, value)| (name, value.into())));
        self
    }

    /// The path of the pass without `shaders/` and the extension: `conv2d/forward`.
    pub fn name(&self) -> &'static str {
        let path = self.sources.first().map_or("", |source| source.path);
        path.trim_start_matches("shaders/").trim_end_matches(".wgsl")
    }

    /// Key that identifies the kernel: two specifications with the same key are the same kernel.
    pub(crate) fn key(&self) -> String {
        let mut key = String::new();
        for source in &self.sources {
            let _ = write!(key, "{} ", source.path);
        }
        for (name, value) in &self.constants {
            let _ = write!(key, "{name}={value} ");
        }
        key
    }

    /// Whether two specifications have the same files and the same values, regardless of the order in which the values
    /// were set.
    pub(crate) fn does_the_same(&self, other: &KernelSpec) -> bool {
        let has = |constant: &(&str, Constant)| other.constants.contains(constant);
        self.sources == other.sources && self.constants.len() == other.constants.len() && self.constants.iter().all(has)
    }

    /// The joined source text, with constants replaced.
    ///
    /// # Errors
    ///
    /// [`Error::Shader`] when a constant that is set is not declared exactly once.
    pub fn text(&self) -> Result<String> {
        let mut found = vec![0; self.constants.len()];
        let mut text = String::new();
        for line in self.sources.iter().flat_map(|source| source.text.lines()) {
            match self.replacement(line, &mut found) {
                Some(replaced) => text.push_str(&replaced),
                None => text.push_str(line),
            }
            text.push('\n');
        }
        for ((name, _), count) in self.constants.iter().zip(found) {
            if count != 1 {
                let files = self.sources.iter().map(|s| s.path).collect::<Vec<_>>().join(", ");
                return Err(Error::Shader(format!(
                    "constant `{name}` must be declared once, but `const {name} = …;` occurs {count} times in {files}"
                )));
            }
        }
        Ok(text)
    }

    fn replacement(&self, line: &str, found: &mut [usize]) -> Option<String> {
        let declared = line.strip_prefix("const ")?;
        let (head, rest) = declared.split_once('=')?;
        let name = head.split(':').next()?.trim();
        let index = self.constants.iter().position(|(constant, _)| *constant == name)?;
        found[index] += 1;
        let tail = rest.split_once(';').map_or("", |(_, tail)| tail);
        Some(format!("const {name} = {};{tail}", self.constants[index].1))
    }

    /// The file, the line number in it and the text of line `line` of the joined text; lines are numbered from 1.
    fn locate(&self, line: usize) -> (&'static str, usize, &'static str) {
        let mut before = 0;
        for source in &self.sources {
            let count = source.text.lines().count();
            if line <= before + count {
                let within = line.saturating_sub(before).max(1);
                return (source.path, within, source.text.lines().nth(within - 1).unwrap_or(""));
            }
            before += count;
        }
        (self.name(), line, "")
    }

    /// `message`, then for each label the file and line, the source line, and carets under the labelled span.
    fn render<'a>(
        &self,
        message: &str,
        text: &str,
        labels: impl Iterator<Item = (naga::Span, &'a str)>,
        causes: &[String],
    ) -> Error {
        let mut out = format!("{message}\n");
        for (span, label) in labels.filter(|(span, _)| span.is_defined()) {
            let place = span.location(text);
            let (path, line, source) = self.locate(place.line_number as usize);
            let column = place.line_position.max(1) as usize;
            let first_line = text.get(place.offset as usize..(place.offset + place.length) as usize).unwrap_or("");
            let width = first_line.lines().next().unwrap_or("").chars().count().max(1);
            let gutter = line.to_string().len();
            let _ = writeln!(out, "{:gutter$}--> {path}:{line}:{column}", "");
            let _ = writeln!(out, "{line} | {source}");
            let _ = writeln!(out, "{:gutter$} | {:indent$}{} {label}", "", "", "^".repeat(width), indent = column - 1);
        }
        for cause in causes {
            let _ = writeln!(out, "  because: {cause}");
        }
        Error::Shader(out.trim_end().to_string())
    }

    /// Parses and validates the source and reflects its bindings.
    ///
    /// # Errors
    ///
    /// [`Error::Shader`] when the source is not valid; the message shows the file, the line and the position in it.
    pub fn module(&self) -> Result<Module> {
        let text = self.text()?;
        let parsed = naga::front::wgsl::parse_str(&text)
            .map_err(|error| self.render(error.message(), &text, error.labels(), &[]))?;
        let mut validator = naga::valid::Validator::new(
            naga::valid::ValidationFlags::all(),
            Capabilities::SUBGROUP | Capabilities::SHADER_INT64,
        );
        validator
            .subgroup_stages(naga::valid::ShaderStages::COMPUTE)
            .subgroup_operations(naga::valid::SubgroupOperationSet::all());
        let info = validator.validate(&parsed).map_err(|error| {
            let mut causes = Vec::new();
            let mut cause = std::error::Error::source(error.as_inner());
            while let Some(inner) = cause {
                causes.push(inner.to_string());
                cause = inner.source();
            }
            let labels: Vec<_> = error.spans().map(|(span, label)| (*span, label.as_str())).collect();
            self.render(&error.as_inner().to_string(), &text, labels.into_iter(), &causes)
        })?;
        Module::reflect(parsed, info).map_err(|problem| Error::Shader(format!("{}: {problem}", self.name())))
    }
}

/// The kind of a binding, from its declaration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindingKind {
    /// A read-only storage buffer: `var<storage, read>`.
    Read,
    /// A writable storage buffer: `var<storage, read_write>`.
    ReadWrite,
    /// A uniform buffer: `var<uniform>`.
    Uniform,
    /// A read-only storage texture: `texture_storage_2d<rgba32float, read>`.
    Texture,
}

/// A binding: a variable with the attributes `@group` and `@binding`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Number of the group, `@group`.
    pub group: u32,
    /// Number within the group, `@binding`.
    pub index: u32,
    /// Name of the variable; operands are bound by name.
    pub name: String,
    /// Whether the binding is a buffer, a uniform or a texture, and whether it is writable.
    pub kind: BindingKind,
}

/// A member of a uniform struct: its name, its offset in bytes, and its scalar type (`u32`, `f32`).
pub type Field = (&'static str, usize, &'static str);

/// A validated module with the results of reflection.
pub struct Module {
    /// The parsed module.
    pub naga: naga::Module,
    /// Results of the validation, which translation to other languages needs.
    pub info: naga::valid::ModuleInfo,
    /// Bindings, ordered by group and index.
    pub bindings: Vec<Binding>,
    /// Number of invocations per workgroup.
    pub workgroup_size: u32,
    /// Members of the uniform struct: name, offset in bytes, scalar type. Empty if there is no uniform.
    pub uniform: Vec<(String, usize, String)>,
}

impl Module {
    fn reflect(module: naga::Module, info: naga::valid::ModuleInfo) -> Result<Module, String> {
        let mut bindings = Vec::new();
        let mut uniform = Vec::new();
        for (_, variable) in module.global_variables.iter() {
            let Some(place) = &variable.binding else { continue };
            let name = variable.name.clone().unwrap_or_default();
            let kind = match variable.space {
                naga::AddressSpace::Storage { access } if access.contains(naga::StorageAccess::STORE) => {
                    BindingKind::ReadWrite
                }
                naga::AddressSpace::Storage { .. } => BindingKind::Read,
                naga::AddressSpace::Uniform => {
                    uniform = fields(&module, variable.ty);
                    BindingKind::Uniform
                }
                naga::AddressSpace::Handle => BindingKind::Texture,
                other => return Err(format!("binding `{name}` is in address space {other:?}")),
            };
            bindings.push(Binding { group: place.group, index: place.binding, name, kind });
        }
        bindings.sort_by_key(|binding| (binding.group, binding.index));
        let entry = module.entry_points.iter().find(|entry| entry.name == "main").ok_or("no entry point `main`")?;
        let workgroup_size = entry.workgroup_size.iter().product();
        Ok(Module { bindings, workgroup_size, uniform, naga: module, info })
    }
}

fn fields(module: &naga::Module, ty: naga::Handle<naga::Type>) -> Vec<(String, usize, String)> {
    let naga::TypeInner::Struct { members, .. } = &module.types[ty].inner else { return Vec::new() };
    let scalar = |ty: naga::Handle<naga::Type>| match module.types[ty].inner {
        naga::TypeInner::Scalar(naga::Scalar::U32) => "u32".to_string(),
        naga::TypeInner::Scalar(naga::Scalar::F32) => "f32".to_string(),
        ref other => format!("{other:?}"),
    };
    members
        .iter()
        .map(|member| (member.name.clone().unwrap_or_default(), member.offset as usize, scalar(member.ty)))
        .collect()
}
