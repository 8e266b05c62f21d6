//! All shaders, without running them: none is forgotten, all are valid and portable, their bindings match the launches,
//! and errors are reported at the right place.

mod common;

use common::inspect::{Inspector, mirrors_are_fresh, operands_are_of_their_pass, tensors_survive};
use common::joined::{differences, kernels};
use common::kernels::{for_each_network, for_each_recording};
use shadegrad::gpu::{Command, KernelSpec, Memory, Mirrors, Module, Operand, Program, ShaderFile};
use shadegrad::machine::recording;
use shadegrad::network::{CompileOptions, Network};
use shadegrad::ops::{KernelConfig, Step};
use shadegrad::wgsl;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// All shader files with their text: `conv2d/forward.wgsl` and so on.
fn files() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders");
    let list = |folder: &Path| -> Vec<PathBuf> {
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
    };
    let mut files = BTreeMap::new();
    for folder in list(&root) {
        for path in list(&folder) {
            let name = path.strip_prefix(&root).unwrap().to_str().unwrap().replace('\\', "/");
            assert!(name.ends_with(".wgsl"), "{name}: no shader");
            files.insert(name, std::fs::read_to_string(&path).unwrap());
        }
    }
    assert!(files.len() > 30, "only {} files: not the right folder", files.len());
    files
}

#[test]
fn every_kernel_is_valid_portable_and_bound() {
    let mut inspector = Inspector::default();
    for_each_recording(|what, recording| {
        inspector.inspect(recording).unwrap_or_else(|problem| panic!("{what}: {problem}"));
        let wide =
            recording.dispatches().any(|dispatch| dispatch.kernel.sources.contains(&wgsl!("shared/pack_wide.wgsl")));
        assert!(!wide || what.ends_with("wide"), "{what}: unrequested 64-bit words");
    });
    println!("{} kernels", inspector.kernels());
    assert!(inspector.kernels() > 100, "only {} kernels: what has been looked at?", inspector.kernels());
}

#[test]
fn every_pass_reads_what_was_written_for_it() {
    let (mut in_turns, mut textures) = (0, 0);
    for_each_network(|what, compiled, recorded, recordings| {
        let right = |checked: Result<(), String>| checked.unwrap_or_else(|problem| panic!("{what}: {problem}"));
        // All sections use the same storages and textures, as in a machine.
        let mirrors = Mirrors::new(&recordings.each_ref());
        for (passes, recording) in recorded.iter().zip(recordings) {
            right(tensors_survive(compiled, passes));
            right(operands_are_of_their_pass(compiled, passes, recording));
            right(mirrors_are_fresh(recording, &mirrors));
        }
        in_turns += compiled.plan.storages.iter().filter(|storage| storage.in_turns).count();
        textures += (0..mirrors.textures().count()).filter(|texture| mirrors.regions(*texture).count() > 1).count();
    });
    assert!(
        in_turns > 100 && textures > 100,
        "{in_turns} storages and {textures} textures in turns: nothing was tried"
    );
}

#[test]
fn no_shader_is_forgotten() {
    let mut used = BTreeSet::new();
    for_each_recording(|_, recording| {
        let sources = recording.dispatches().flat_map(|dispatch| &dispatch.kernel.sources);
        used.extend(sources.map(|source| source.path.trim_start_matches("shaders/").to_string()));
    });
    let there: BTreeSet<String> = files().into_keys().collect();
    let idle: Vec<_> = there.difference(&used).collect();
    let missing: Vec<_> = used.difference(&there).collect();
    assert!(idle.is_empty(), "no kernel is made of {idle:?}");
    assert!(missing.is_empty(), "named wrongly: {missing:?}");
}

#[test]
fn files_open_with_their_name() {
    for (name, text) in files() {
        let (folder, file) = name.trim_end_matches(".wgsl").split_once('/').unwrap();
        let plain = format!("// {folder} / {file}");
        let naive = format!("// {folder} / {}, naive", file.trim_end_matches("_naive"));
        let first = text.lines().next().unwrap();
        assert!(first == plain || file.ends_with("_naive") && first == naive, "{name} opens with {first:?}");
        let second = text.lines().nth(1).unwrap();
        assert!(second.starts_with("//   "), "{name}: it is not explained: {second:?}");
        assert!(text.ends_with('\n') && !text.contains('\t') && !text.contains('\r'), "{name}: tabs or line ends");
    }
}

#[test]
fn headers_say_what_files_are_joined_with() {
    let texts = files().into_iter().map(|(name, text)| (name.trim_end_matches(".wgsl").to_string(), text)).collect();
    let kernels = kernels();
    assert!(kernels.len() > 250, "only {} kernels: what has been looked at?", kernels.len());
    let differences = differences(&texts, &kernels);
    assert!(differences.is_empty(), "{differences:#?}");
}

#[test]
fn kernels_and_languages_are_counted_separately() {
    let folder = tempfile::tempdir().unwrap();
    let written = |to: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_shadegrad"));
        let args = ["shaders", "mlp", "--device", "cpu", "--out", to, "--to", to];
        let output = command.args(args).current_dir(folder.path()).output().unwrap();
        assert!(output.status.success());
        (String::from_utf8(output.stdout).unwrap(), std::fs::read_dir(folder.path().join(to)).unwrap().count())
    };
    let (one, files) = written("wgsl");
    assert_eq!(one, format!("{files} kernels of a training step of mlp, in 1 language, are in wgsl\n"));
    let (two, twice) = written("wgsl,hlsl");
    assert_eq!(twice, 2 * files);
    assert_eq!(two, format!("{files} kernels of a training step of mlp, in 2 languages, are in wgsl,hlsl\n"));
}

/// The names that a file declares at its top level.
fn declared(text: &str) -> BTreeSet<String> {
    let word = |text: &str| -> String { text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect() };
    let declarations = text.lines().filter_map(|line| {
        let rest = ["fn ", "const ", "struct ", "alias "].iter().find_map(|key| line.strip_prefix(key));
        let variable = line.split_once("var<").or_else(|| line.split_once("var ")).map(|(_, rest)| rest);
        let variable = variable.filter(|_| line.starts_with('@') || line.starts_with("var"));
        let variable = variable.map(|rest| rest.split_once("> ").map_or(rest, |(_, rest)| rest));
        rest.or(variable).map(word)
    });
    declarations.collect()
}

/// A single file is valid, or the first name that it lacks is declared in another file.
#[test]
fn a_file_alone_is_valid_but_for_names_of_other_files() {
    let files = files();
    let mut valid = 0;
    for (name, text) in &files {
        let parsed = match naga::front::wgsl::parse_str(text) {
            Ok(module) => module,
            Err(error) => {
                let message = error.emit_to_string(text);
                let lacked = message.split_once("no definition in scope for identifier: `");
                let Some((lacked, _)) = lacked.and_then(|(_, rest)| rest.split_once('`')) else {
                    panic!("shaders/{name}: {message}")
                };
                let others = files.iter().filter(|(other, _)| *other != name);
                let by: Vec<_> = others.filter(|(_, text)| declared(text).contains(lacked)).collect();
                assert!(!by.is_empty(), "shaders/{name}: no file declares `{lacked}`\n{message}");
                continue;
            }
        };
        let mut validator =
            naga::valid::Validator::new(naga::valid::ValidationFlags::all(), naga::valid::Capabilities::SHADER_INT64);
        validator.validate(&parsed).unwrap_or_else(|error| panic!("shaders/{name}: {}", error.emit_to_string(text)));
        valid += 1;
    }
    println!("{valid} of {} files are valid alone", files.len());
    assert!(valid > 10, "only {valid} files are valid alone");
}

static FIRST: ShaderFile = ShaderFile {
    path: "shaders/broken/first.wgsl",
    text: "// broken / first\nconst COUNT = 1u;\n\n@compute @workgroup_size(64)\nfn main() {\n    let a = half(COUNT);\n}\n",
};
static SECOND: ShaderFile = ShaderFile {
    path: "shaders/broken/second.wgsl",
    text: "// broken / second\n\nfn half(a: u32) -> u32 {\n    return a / nobody;\n}\n",
};
static SECOND_FINE: ShaderFile =
    ShaderFile { path: "shaders/broken/fine.wgsl", text: "fn half(a: u32) -> u32 {\n    return a / 2u;\n}\n" };
/// Accepted by the parser, but not by the validator.
static SECOND_FLOAT: ShaderFile =
    ShaderFile { path: "shaders/broken/float.wgsl", text: "\nfn half(a: u32) -> u32 {\n    return 0.5f;\n}\n" };
static NO_MAIN: ShaderFile =
    ShaderFile { path: "shaders/broken/no_main.wgsl", text: "@compute @workgroup_size(1)\nfn start() {}\n" };

fn module_error(spec: &KernelSpec) -> String {
    match spec.module() {
        Ok(_) => panic!("{spec:?} is fine"),
        Err(error) => error.to_string(),
    }
}

/// The column of the first caret in an error, and the number of carets.
fn caret_line(error: &str) -> (usize, usize) {
    let line = error.lines().find(|line| line.contains('^')).unwrap_or_else(|| panic!("no caret in {error}"));
    (line.find('^').unwrap(), line.matches('^').count())
}

#[test]
fn a_shader_error_shows_file_line_and_caret() {
    let error = module_error(&KernelSpec::new([&FIRST, &SECOND]).set("COUNT", 12345u32));
    println!("{error}");
    assert!(error.contains("shaders/broken/second.wgsl:4:16"), "{error}");
    assert!(error.contains("4 |     return a / nobody;"), "{error}");
    // The caret is below `nobody`, in the same column as in the excerpt.
    let excerpt = error.lines().find(|line| line.starts_with("4 | ")).unwrap();
    assert_eq!(caret_line(&error), (excerpt.find("nobody").unwrap(), "nobody".len()), "{error}");

    let error = module_error(&KernelSpec::new([&FIRST]));
    assert!(error.contains("shaders/broken/first.wgsl:6:13") && error.contains("half"), "{error}");

    let error = module_error(&KernelSpec::new([&FIRST, &SECOND_FLOAT]));
    println!("{error}");
    assert!(error.contains("shaders/broken/float.wgsl:3:"), "{error}");
    assert!(error.contains("3 |     return 0.5f;") && error.contains('^'), "{error}");

    let error = module_error(&KernelSpec::new([&NO_MAIN]));
    assert!(error.contains("broken/no_main") && error.contains("no entry point `main`"), "{error}");
}

#[test]
fn an_unknown_constant_is_an_error() {
    let spec = || KernelSpec::new([&FIRST, &SECOND_FINE]);
    assert!(spec().set("COUNT", 2u32).module().is_ok());
    for name in ["COUNTS", "COUN", "a", "half"] {
        let error = module_error(&spec().set(name, 2u32));
        assert!(error.contains(&format!("constant `{name}`")) && error.contains("0 times"), "{error}");
        assert!(error.contains(FIRST.path) && error.contains(SECOND_FINE.path), "{error}");
    }
    // Wrong type.
    assert!(module_error(&spec().set("COUNT", true)).contains("shaders/broken/first.wgsl"));
    // Declared twice.
    assert!(module_error(&KernelSpec::new([&FIRST, &FIRST, &SECOND_FINE]).set("COUNT", 2u32)).contains("2 times"));
}

#[test]
fn constants_take_the_values_that_are_set() {
    let spec = KernelSpec::new([wgsl!("sgd/update_momentum.wgsl"), wgsl!("shared/step.wgsl")]);
    let text = spec.set("MOMENTUM", 0.1f32).set("NESTEROV", true).set("WEIGHT_DECAY", 1e-7f32).text().unwrap();
    for line in ["const MOMENTUM = 0.1f;", "const NESTEROV = true;", "const WEIGHT_DECAY = 1e-7f;"] {
        assert!(text.lines().any(|found| found == line), "no line {line:?} in\n{text}");
    }
}

#[test]
fn reflection_finds_what_is_declared() {
    let spec = KernelSpec::new([
        wgsl!("sgd/update.wgsl"),
        wgsl!("shared/gradient.wgsl"),
        wgsl!("shared/pack.wgsl"),
        wgsl!("shared/step.wgsl"),
        wgsl!("shared/linear.wgsl"),
    ]);
    let Module { bindings, workgroup_size, uniform, .. } = spec.module().unwrap();
    let found: Vec<String> =
        bindings.iter().map(|b| format!("{}.{} {} {:?}", b.group, b.index, b.name, b.kind)).collect();
    assert_eq!(found, ["0.0 gradient Read", "0.1 weights ReadWrite", "1.0 step Uniform"]);
    assert_eq!(workgroup_size, 64);
    assert_eq!(uniform.len(), Step::FIELDS.len());
    assert_eq!(uniform[6], ("learning_rate".to_string(), 24, "f32".to_string()));
    let spec = KernelSpec::new([wgsl!("shared/left_texture.wgsl"), &NO_MAIN, &MAIN]);
    let [left] = &spec.module().unwrap().bindings[..] else { panic!("one binding expected") };
    assert_eq!(format!("{} {:?}", left.name, left.kind), "left Texture");
}

static MAIN: ShaderFile =
    ShaderFile { path: "shaders/broken/main.wgsl", text: "@compute @workgroup_size(4, 2, 3)\nfn main() {}\n" };

/// Prepares the recording of a weight update, with its uniform struct changed by `change`.
fn with_step_struct(change: impl Fn(&str) -> String) -> Result<(), String> {
    let network = Network::from_toml(
        "small",
        "input = [2, 2, 1]\n[[layers]]\ntype = 'flatten'\n[[layers]]\ntype = 'dense'\nunits = 4",
    )
    .unwrap();
    let options = CompileOptions { batch: 2, train_images: 4, ..CompileOptions::default() };
    let compiled = network.compile(&options).unwrap();
    let mut recording = recording(&compiled, &compiled.train, &KernelConfig::hardware()).unwrap();
    recording.commands.retain(|command| matches!(command, Command::Dispatch(d) if d.label == "sgd.update"));
    let [Command::Dispatch(dispatch)] = &mut recording.commands[..] else { panic!("one update expected") };
    let source = dispatch.kernel.sources.iter_mut().find(|source| source.path == "shaders/shared/step.wgsl").unwrap();
    let changed = change(source.text);
    // With a path of its own, because equal specifications share a kernel.
    let path: &'static str =
        format!("shaders/changed/{:x}.wgsl", changed.len() * 31 + changed.find("seed").unwrap()).leak();
    *source = Box::leak(Box::new(ShaderFile { path, text: changed.leak() }));
    assert!(dispatch.reads.iter().all(|(_, operand)| matches!(operand, Operand::Buffer(_))));
    let storages: Vec<_> = compiled.plan.storages.iter().map(|s| (s.name.clone(), s.len)).collect();
    let memory = Memory::new(common::gpu(), &storages, &[&recording], size_of::<Step>()).unwrap();
    Program::new(common::gpu(), &memory, &recording).map(|_| ()).map_err(|error| error.to_string())
}

#[test]
fn the_step_uniform_is_compared_field_by_field() {
    with_step_struct(str::to_string).unwrap();
    let expect_error = |what: &str, change: &dyn Fn(&str) -> String| {
        let error = with_step_struct(change).expect_err(what);
        assert!(error.contains("the uniform struct differs between WGSL and Rust"), "{what}: {error}");
        assert!(error.contains("sgd/update"), "{what}: {error}");
    };
    expect_error("renamed", &|text| text.replace("    slot: u32", "    slots: u32"));
    expect_error("moved", &|text| text.replace("    count: u32,\n    slot: u32,", "    slot: u32,\n    count: u32,  "));
    expect_error("of another type", &|text| text.replace("    first: u32", "    first: f32 "));
    expect_error("missing", &|text| text.replace("    reserved: u32,\n", ""));
    expect_error("one more", &|text| text.replace("    reserved: u32,\n", "    reserved: u32,\n    more: u32,\n"));
}
