//! Checks a user's own shader as one of the passes: against the reference, on the edge cases of the pass and on random
//! shapes, within error bounds derived for the pass.
//!
//! # Requirements for a shader
//!
//! It is one WGSL file, complete in itself, with one entry point, `main`. This one is a convolution without padding:
//!
//! ```wgsl
//! const HEIGHT = 5u; // replaced by the height of each case; so are the others
//! const WIDTH = 5u;
//! const CHANNELS = 1u;
//! const KERNEL_H = 3u;
//! const KERNEL_W = 3u;
//! const STRIDE_H = 1u;
//! const STRIDE_W = 1u;
//! const OUT_HEIGHT = 3u;
//! const OUT_WIDTH = 3u;
//! const FILTERS = 1u;
//! const COUNT = 1u;
//!
//! @group(0) @binding(0) var<storage, read> x: array<f32>;
//! @group(0) @binding(1) var<storage, read> w: array<f32>;
//! @group(0) @binding(2) var<storage, read> b: array<f32>;
//! @group(0) @binding(3) var<storage, read_write> y: array<f32>;
//!
//! @compute @workgroup_size(64)
//! fn main(@builtin(global_invocation_id) id: vec3<u32>) {
//!     let i = id.x;
//!     if i >= COUNT { return; }
//!     // … y[i] = b[k] + the sum over the window
//! }
//! ```
//!
//! - **Bindings** are in group 0 and have the names in the formula of the pass, which stands at the head of its module:
//!   `x w b` and `y` for [`conv2d`](crate::ops::conv2d), with dimensions in the order given there. Inputs are declared
//!   `read`, outputs `read_write`. Outputs without a binding are not checked; at least one must have a binding. A
//!   buffer is longer than its tensor, so that writes past the end are detected: `arrayLength` is not the number of
//!   elements.
//! - **Shapes** are constants at the start of a line, `const HEIGHT = 5u;`. If the file declares a constant of the
//!   pass, its value is replaced by that of each case. A constant with any other name keeps its value; [`KernelReport`]
//!   lists the constants that were set.
//! - **Settings** are constants too (a stride, a padding, `ACTIVATION`: 0 identity, 1 relu, 2 sigmoid, 3 tanh). If a
//!   shader does not declare a setting, it is assumed to support the default only, and cases with other values are
//!   skipped. The shader above supports neither padding nor an activation.
//! - **Invocations**: one for each element of the pass's first output that has a binding, in a row of workgroups of the
//!   size that the shader declares. `const INVOCATIONS = …;`, computed from other constants, requests another number.
//!   `COUNT` is set to that number; invocations of the last workgroup beyond it must do nothing. `GROUPS_X` is set to
//!   the number of workgroups in a row, as in `shaders/shared/linear.wgsl`.
//! - A pass that depends on the **step** (dropout, the optimizers, `gather_batch`) declares the uniform of
//!   `shaders/shared/step.wgsl`.
//!
//! # What is checked
//!
//! The same as `shadegrad verify` checks for the kernels of this crate: outputs start as NaN, nothing may be written to
//! an input or past the end of a tensor, a second run must give the same bits, sums of small whole numbers must be
//! exact, and other results must be within a bound derived from the number of terms and their magnitude. NaN is never
//! within a bound.

mod passes;
mod report;
mod run;

pub use report::{KernelFailure, KernelReport};

use crate::error::{Error, Result};
use crate::files::read_text;
use crate::gpu::{Constant, KernelSpec, ShaderFile};
use crate::ops::Op;
use crate::text::brief;
use passes::{Pass, Value, Values, lower, passes, plain};
use std::collections::HashSet;
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};

/// Random shapes that a shader is checked on by default, in addition to the edge cases.
const RANDOM_SHAPES: usize = 20;

/// Constants that are set to the number of invocations and of workgroups per row.
const LAUNCH: [&str; 2] = ["COUNT", "GROUPS_X"];

/// A shader and the pass that it should compute; see the [module](self) for its requirements.
#[derive(Clone)]
pub struct OwnKernel {
    source: &'static ShaderFile,
    pass: &'static Pass,
    given: Vec<Value>,
    random_shapes: usize,
    seed: u64,
}

impl OwnKernel {
    /// Reads a shader from a file, to be checked as the pass with this name: `conv2d.forward`.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the file cannot be read, and the errors of [`OwnKernel::new`].
    pub fn open(path: &Path, pass: &str) -> Result<OwnKernel> {
        OwnKernel::new(&path.display().to_string(), &read_text(path)?, pass)
    }

    /// Takes a shader's text, to be checked as the pass with this name; errors call the text `name`.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] with the names of all passes if there is no such pass, and [`Error::Shader`] with line and
    /// caret if the text is not a valid shader.
    pub fn new(name: &str, text: &str, pass: &str) -> Result<OwnKernel> {
        let found = passes().iter().find(|known| known.name == pass).ok_or_else(|| {
            let all: Vec<&str> = OwnKernel::passes().collect();
            Error::Usage(format!("no pass `{}`: expected one of {}", brief(pass), all.join(", ")))
        })?;
        let source = kept(name, text);
        KernelSpec::new([source]).module()?;
        let kernel = OwnKernel { source, pass: found, given: Vec::new(), random_shapes: RANDOM_SHAPES, seed: 1 };
        kernel.check_constants()?;
        Ok(kernel)
    }

    /// The names of all passes.
    pub fn passes() -> impl Iterator<Item = &'static str> {
        passes().iter().map(|pass| pass.name)
    }

    /// The sizes and settings of a pass with their defaults: `batch=2,height=9,…`. `None` if there is no such pass.
    pub fn shape_of(pass: &str) -> Option<String> {
        let pass = passes().iter().find(|known| known.name == pass)?;
        let part = |key: &passes::Key| format!("{}={}", lower(key.name), worded(key, key.default));
        Some(pass.keys.iter().map(part).collect::<Vec<_>>().join(","))
    }

    /// Selects one shape in place of the edge cases and random shapes:
    /// `batch=3,height=28,width=28,channels=1,filters=8`. Keys that are not given have the defaults of
    /// [`OwnKernel::shape_of`]. `kernel`, `stride` and `padding` apply to both dimensions. If only settings are given
    /// (`stride=2,activation=relu`), all cases with those settings are run.
    ///
    /// # Errors
    ///
    /// [`Error::Usage`] with the part that is not valid.
    pub fn with_shape(mut self, shape: &str) -> Result<OwnKernel> {
        let said = |problem: String| Error::Usage(format!("shape of {}: {problem}", self.pass.name));
        let mut given: Vec<Value> = Vec::new();
        for part in shape.split(',').map(str::trim) {
            let (key, value) =
                part.split_once('=').ok_or_else(|| said(format!("expected KEY=VALUE, got `{}`", brief(part))))?;
            for value in self.values(key.trim(), value.trim()).map_err(said)? {
                if given.iter().any(|(known, _)| *known == value.0) {
                    return Err(said(format!("{} is given twice", lower(value.0))));
                }
                given.push(value);
            }
        }
        self.given = given;
        if self.has_sizes() {
            self.one().map_err(said)?;
        }
        Ok(self)
    }

    /// Sets the number of random shapes in addition to the edge cases (20 by default), and the seed that they are drawn
    /// by.
    pub fn with_random_shapes(self, random_shapes: usize, seed: u64) -> OwnKernel {
        OwnKernel { random_shapes, seed, ..self }
    }

    /// The constants set by one part of a shape.
    fn values(&self, key: &str, value: &str) -> Result<Vec<Value>, String> {
        let names: Vec<String> = match key {
            "kernel" | "stride" => ["h", "w"].map(|axis| format!("{key}_{axis}")).to_vec(),
            "padding" | "pad" => vec!["pad_top".into(), "pad_left".into()],
            other => vec![other.to_string()],
        };
        let one = |name: &String| {
            let key = self.pass.keys.iter().find(|known| lower(known.name) == *name).ok_or_else(|| {
                let known: Vec<String> = self.pass.keys.iter().map(|key| lower(key.name)).collect();
                format!("unknown key `{}`; known keys: {}", brief(name), known.join(", "))
            })?;
            let word = key.words.iter().position(|word| *word == value);
            let number = match key.default {
                Constant::Bool(_) => word.map(|word| Constant::Bool(word == 1)),
                Constant::U32(_) if !key.words.is_empty() => word.map(Constant::from),
                Constant::U32(_) => value.parse().ok().map(Constant::U32),
                Constant::F32(_) => value.parse().ok().map(Constant::F32),
            };
            let expected = match (key.words.is_empty(), key.default) {
                (false, _) => key.words.join(", "),
                (true, Constant::F32(_)) => "a number".into(),
                (true, _) => "a whole number".into(),
            };
            let number = number.ok_or_else(|| format!("{name}: expected {expected}, got `{}`", brief(value)))?;
            Ok((key.name, number))
        };
        names.iter().map(one).collect()
    }

    /// Whether the user selected one shape.
    fn has_sizes(&self) -> bool {
        let is_size = |name: &str| self.pass.keys.iter().any(|key| key.name == name && !key.is_setting);
        self.given.iter().any(|(name, _)| is_size(name))
    }

    /// The pass at the selected shape.
    fn one(&self) -> Result<Box<dyn Op>, String> {
        let value = |key: &passes::Key| (key.name, self.asked(key.name).unwrap_or(key.default));
        (self.pass.make)(&Values(self.pass.keys.iter().map(value).collect()))
    }

    /// The value that the user gave for a key.
    fn asked(&self, name: &str) -> Option<Constant> {
        self.given.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    /// Whether the file declares a constant at the start of a line.
    fn declares(&self, name: &str) -> bool {
        self.source.text.lines().any(|line| declared(line) == Some(name))
    }

    /// An error if the file declares a constant of the pass anywhere but at the start of a line, where it would not be
    /// set.
    fn check_constants(&self) -> Result<()> {
        let op = self.default_op()?;
        let constants = (self.pass.constants)(&*op).unwrap_or_default();
        let names = constants.iter().map(|(name, _)| *name).chain(LAUNCH);
        for name in names.filter(|name| !self.declares(name)) {
            let lines = self.source.text.lines().enumerate();
            let hidden = lines.map(|(index, line)| (index + 1, line.split("//").next().unwrap_or_default())).find(
                |(_, line)| {
                    let words: Vec<&str> =
                        line.split(|letter: char| !letter.is_alphanumeric() && letter != '_').collect();
                    words.windows(2).any(|pair| ["const", "override"].contains(&pair[0]) && pair[1] == name)
                },
            );
            if let Some((number, line)) = hidden {
                return Err(Error::Shader(format!(
                    "{}:{number}: `{name}` is set for each shape, so its line must begin with `const {name} = \
                     …;`\n{number} | {line}",
                    self.source.path
                )));
            }
        }
        Ok(())
    }

    fn default_op(&self) -> Result<Box<dyn Op>> {
        let defaults = Values(self.pass.keys.iter().map(|key| (key.name, key.default)).collect());
        (self.pass.make)(&defaults).map_err(|problem| Error::Usage(format!("{}: {problem}", self.pass.name)))
    }
}

/// A value as written in a shape.
fn worded(key: &passes::Key, value: Constant) -> String {
    match value {
        Constant::U32(number) if !key.words.is_empty() => {
            key.words.get(number as usize).map_or_else(|| plain(value), |word| (*word).to_string())
        }
        other => plain(other),
    }
}

/// Name of the constant that a line declares.
fn declared(line: &str) -> Option<&str> {
    let (head, _) = line.strip_prefix("const ")?.split_once('=')?;
    head.split(':').next().map(str::trim)
}

/// Interns a text, as sources must live as long as the program; equal texts are kept once.
fn kept(name: &str, text: &str) -> &'static ShaderFile {
    static KEPT: OnceLock<Mutex<HashSet<&'static ShaderFile>>> = OnceLock::new();
    let mut kept = KEPT.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(source) = kept.iter().find(|source| source.path == name && source.text == text) {
        return source;
    }
    let leaked = |text: &str| -> &'static str { Box::leak(text.to_string().into_boxed_str()) };
    let source: &'static ShaderFile = Box::leak(Box::new(ShaderFile { path: leaked(name), text: leaked(text) }));
    kept.insert(source);
    source
}
