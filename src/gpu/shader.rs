//! From `.wgsl` files to a validated module whose bindings are known.
//!
//! A kernel's text is a list of files, the pass first and the shared functions after it, joined line by line so that
//! an error can name the file and line it stands in. Specialising replaces the values of top-level constants
//! (`const TM = 8u;`); the value in the file is a working default. Nothing else is done to the text.

use crate::error::{Error, Result};
use naga::valid::Capabilities;
use std::fmt::{self, Write};

/// One hand-written `.wgsl` file, carried in the binary.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct ShaderFile {
    /// Path from the top of the repository, as error messages print it.
    pub path: &'static str,
    /// The file's text.
    pub text: &'static str,
}

/// `wgsl!("dense/forward.wgsl")`: a file below `shaders/`, as a `&'static ShaderFile`.
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

/// The value of a specialised constant.
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
    /// As a WGSL literal. `{:?}` of an f32 is the shortest text that reads back as the same bits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Constant::U32(v) => write!(f, "{v}u"),
            Constant::F32(v) => write!(f, "{v:?}f"),
            Constant::Bool(v) => write!(f, "{v}"),
        }
    }
}

/// What a kernel is made of. Equal specifications share one pipeline.
#[derive(Clone, Debug, PartialEq)]
pub struct KernelSpec {
    /// The pass, then the shared files it calls.
    pub sources: Vec<&'static ShaderFile>,
    /// Constants whose values are replaced.
    pub constants: Vec<(&'static str, Constant)>,
}

impl KernelSpec {
    /// A kernel of these files with every constant at its default.
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

    /// The pass's path without folder and ending: `conv2d/forward`.
    pub fn name(&self) -> &'static str {
        let path = self.sources.first().map_or("", |source| source.path);
        path.trim_start_matches("shaders/").trim_end_matches(".wgsl")
    }

    /// What distinguishes this kernel from others; two specifications with one key are the same kernel.
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

    /// Whether two specifications are the same files and the same values, in whatever order these were set.
    pub(crate) fn does_the_same(&self, other: &KernelSpec) -> bool {
        let has = |constant: &(&str, Constant)| other.constants.contains(constant);
        self.sources == other.sources && self.constants.len() == other.constants.len() && self.constants.iter().all(has)
    }

    /// The whole text, constants replaced.
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
                    "constant `{name}` is to be specialised, but `const {name} = …;` stands {count} times in {files}"
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

    /// File, line within it (from 1) and text of line `line` (from 1) of the joined text.
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

    /// `message`, then for each label the file, line, the source line and a caret under the place.
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

    /// Parses, validates and reflects.
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

/// What a binding is, as its declaration says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindingKind {
    /// A storage buffer that is read: `var<storage, read>`.
    Read,
    /// A storage buffer that is written: `var<storage, read_write>`.
    ReadWrite,
    /// A uniform buffer: `var<uniform>`.
    Uniform,
    /// A texture that is read: `texture_storage_2d<rgba32float, read>`.
    Texture,
}

/// One `@group @binding var`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Number of the group, `@group`.
    pub group: u32,
    /// Number within the group, `@binding`.
    pub index: u32,
    /// The variable's name; buffers are bound by it.
    pub name: String,
    /// Buffer, uniform or texture, and whether it is written.
    pub kind: BindingKind,
}

/// A member of a uniform struct: name, byte offset, scalar type (`u32`, `f32`).
pub type Field = (&'static str, usize, &'static str);

/// A validated module and what reflection found in it.
pub struct Module {
    /// The module as the device takes it.
    pub naga: naga::Module,
    /// What the validator found out.
    pub info: naga::valid::ModuleInfo,
    /// Bindings, ordered by group and index.
    pub bindings: Vec<Binding>,
    /// Invocations per workgroup.
    pub workgroup_size: u32,
    /// Members of the struct behind the uniform binding, if there is one.
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
