//! User-defined shaders against the reference: correct ones, and many kinds of wrong ones.

use crate::place::Place;
use crate::{devices, gpu};
use shadegrad::machine::Device;
use shadegrad::verify::own::{KernelReport, OwnKernel};
use std::fs;

const CONV: &str = include_str!("../../examples/conv2d.wgsl");

fn report(text: &str, pass: &str, shape: &str) -> KernelReport {
    let kernel = OwnKernel::new("mine.wgsl", text, pass).unwrap_or_else(|error| panic!("{error}"));
    let kernel = kernel.with_random_shapes(4, 7);
    let kernel = if shape.is_empty() { kernel } else { kernel.with_shape(shape).unwrap() };
    kernel.verify_blocking(&gpu()).unwrap_or_else(|error| panic!("{error}"))
}

/// The error for a shader that cannot be checked at all.
fn refused(text: &str, pass: &str) -> String {
    let outcome = OwnKernel::new("mine.wgsl", text, pass).and_then(|kernel| kernel.verify_blocking(&gpu()));
    outcome.expect_err("checked").to_string()
}

/// The convolution with a part of it replaced.
fn broken(part: &str, other: &str) -> String {
    assert_eq!(CONV.matches(part).count(), 1, "{part}");
    CONV.replace(part, other)
}

const SHAPE: &str = "batch=2,height=9,width=7,channels=3,kernel=3,filters=5,stride_h=2,stride_w=1";

#[test]
fn a_correct_convolution_passes_everywhere() {
    let report = report(CONV, "conv2d.forward", "");
    assert!(!report.failed() && report.worst > 0.0 && report.worst < 1.0, "{report}");
    // The cases with an activation, which the shader does not declare, and those with the longest sums.
    assert!(report.left_out > 10 && report.shapes > 15 && report.cases > report.shapes, "{report}");
    assert_eq!((report.constants.len(), &report.outputs[..]), (12, &["y"][..]), "{report}");
    assert!(report.to_string().ends_with("of its bound"), "{report}");
}

#[test]
fn mistakes_are_found() {
    for (part, other, says) in [
        ("q * STRIDE_W", "q * STRIDE_H", " y["),
        ("var sum = b[k]", "var sum = b[0]", " y["),
        // Every other element keeps its NaN.
        ("    y[i] = sum;", "    if i % 2u == 0u { y[i] = sum; }", "got NaN"),
        ("    y[i] = sum;", "    y[i] = sum; y[i + COUNT] = sum;", "y was written past its end: buffers are longer"),
        ("    if i >= COUNT {", "    if i >= arrayLength(&y) {", "y was written past its end: buffers are longer"),
        ("    y[i] = sum;", "    y[i] = sum + 1e-5;", "over bound"),
    ] {
        let report = report(&broken(part, other), "conv2d.forward", SHAPE);
        let found = report.failures.iter().any(|failure| format!(" {}", failure.finding).contains(says));
        assert!(found, "{other}: expected `{says}` in {report}");
        assert!(report.to_string().contains("FAIL Forward {"), "{report}");
    }
    assert!(!report(CONV, "conv2d.forward", SHAPE).failed());
    let writes_input =
        broken("var<storage, read> x", "var<storage, read_write> x").replace("y[i] = sum;", "y[i] = sum; x[0] = 9.0;");
    let report = report(&writes_input, "conv2d.forward", SHAPE);
    assert!(
        report.failures.iter().all(|failure| failure.finding == "input x was overwritten") && report.failed(),
        "{report}"
    );
}

#[test]
fn one_shape_may_hide_a_mistake() {
    let wrong = broken("q * STRIDE_W", "q * STRIDE_H");
    assert!(!report(&wrong, "conv2d.forward", "height=9,width=9,channels=2,stride=2,padding=1").failed());
    let all = report(&wrong, "conv2d.forward", "");
    assert!(all.failed() && all.failures.len() < all.cases, "{all}");
    // A shape with only settings selects among all cases.
    let even = report(&wrong, "conv2d.forward", "stride=1");
    assert!(!even.failed() && even.shapes > 5, "{even}");
}

#[test]
fn shaders_that_do_not_fit_the_pass_are_named_with_their_line() {
    let said = refused(&broken("var sum = b[k];", "var sum = b[kk];"), "conv2d.forward");
    assert!(said.contains("--> mine.wgsl:37:17") && said.contains("var sum = b[kk];"), "{said}");
    assert!(said.contains("^^") && said.contains("kk"), "{said}");
    let formula = "conv2d.forward reads `x w b` and writes `y`";
    for (part, other, says) in [
        ("var<storage, read> b: array<f32>", "var<storage, read> bias: array<f32>", "the pass has no tensor `bias`"),
        ("var<storage, read_write> y", "var<storage, read> y", "cannot be assigned"),
    ] {
        let text = broken(part, other).replace("b[k]", if other.contains("bias") { "bias[k]" } else { "b[k]" });
        let said = refused(&text, "conv2d.forward");
        assert!(said.contains(says) || said.contains("mine.wgsl"), "{other}: {said}");
        if other.contains("bias") {
            assert!(said.contains(formula), "{said}");
        }
    }
    let nothing = "@group(0) @binding(0) var<storage, read> x: array<f32>;\n@compute @workgroup_size(1)\nfn main() {\n    _ = x[0];\n}\n";
    let said = refused(nothing, "conv2d.forward");
    assert!(said.contains(&format!("mine.wgsl: no output has a binding; {formula}")), "{said}");
    let said = refused(&broken("const STRIDE_W = 1u;", "  const STRIDE_W = 1u;"), "conv2d.forward");
    assert!(said.contains("mine.wgsl:12: `STRIDE_W` is set for each shape"), "{said}");
    let said = refused(&broken("const STRIDE_W = 1u;", "override STRIDE_W = 1u;"), "conv2d.forward");
    assert!(said.contains("mine.wgsl:12: `STRIDE_W` is set for each shape"), "{said}");
    let said = refused(CONV, "conv2d.fwd");
    assert!(said.starts_with("no pass `conv2d.fwd`: expected one of conv2d.forward, conv2d.forward_pooled"), "{said}");
    assert_eq!(OwnKernel::passes().filter(|pass| !said.contains(pass)).count(), 0, "{said}");
}

#[test]
fn invalid_shapes_are_named() {
    let said = |shape: &str| {
        let kernel = OwnKernel::new("mine.wgsl", CONV, "conv2d.forward").unwrap();
        kernel.with_shape(shape).map(drop).unwrap_err().to_string()
    };
    for (shape, problem) in [
        ("hight=3", "unknown key `hight`; known keys: batch, height, width, channels"),
        ("height", "expected KEY=VALUE, got `height`"),
        ("height=tall", "height: expected a whole number, got `tall`"),
        ("height=0", "height: expected a whole number of at least 1, got 0"),
        ("height=3,height=4", "height is given twice"),
        ("activation=gelu", "activation: expected identity, relu, sigmoid, tanh, got `gelu`"),
        ("height=2,kernel=3", "expected at least 3 rows for the kernel, got 2"),
    ] {
        assert!(said(shape).starts_with(&format!("shape of conv2d.forward: {problem}")), "{shape}: {}", said(shape));
    }
    let all = OwnKernel::shape_of("conv2d.forward").unwrap();
    assert!(
        all.starts_with("batch=2,height=9,width=8,channels=4,kernel_h=3")
            && all.ends_with("activation=identity,rate=0")
    );
    for pass in OwnKernel::passes() {
        OwnKernel::new("mine.wgsl", CONV, pass).unwrap().with_shape(&OwnKernel::shape_of(pass).unwrap()).unwrap();
    }
}

/// A pass that reads the step, with four elements per invocation, and a pass whose setting the shader declares.
#[test]
fn other_passes_can_be_checked() {
    let step = include_str!("../../shaders/shared/step.wgsl");
    let sgd = "const LEN = 1u;\nconst COUNT = 1u;\nconst INVOCATIONS = (LEN + 3u) / 4u;\n\
               @group(0) @binding(0) var<storage, read> gradient: array<f32>;\n\
               @group(0) @binding(1) var<storage, read_write> weights: array<f32>;\n\
               @compute @workgroup_size(32)\nfn main(@builtin(global_invocation_id) id: vec3<u32>) {\n\
               if id.x >= COUNT { return; }\n\
               for (var i = id.x * 4u; i < min(id.x * 4u + 4u, LEN); i++) {\n\
               weights[i] -= step.learning_rate * gradient[i];\n}\n}\n";
    let plain = report(&format!("{sgd}{step}"), "sgd.update", "");
    assert!(!plain.failed() && plain.shapes > 2, "{plain}");
    let decayed = report(&format!("{sgd}{step}"), "sgd.update", "len=100,weight_decay=0.1");
    assert!(decayed.failed(), "{decayed}");

    let pool = "const HEIGHT = 1u;\nconst WIDTH = 1u;\nconst CHANNELS = 1u;\nconst KERNEL_H = 1u;\nconst KERNEL_W = 1u;\n\
                const STRIDE_H = 1u;\nconst STRIDE_W = 1u;\nconst OUT_HEIGHT = 1u;\nconst OUT_WIDTH = 1u;\n\
                const COUNT = 1u;\nconst KIND = 0u;\n\
                @group(0) @binding(0) var<storage, read> x: array<f32>;\n\
                @group(0) @binding(1) var<storage, read_write> y: array<f32>;\n\
                @compute @workgroup_size(64)\nfn main(@builtin(global_invocation_id) id: vec3<u32>) {\n\
                let i = id.x;\nif i >= COUNT { return; }\nlet c = i % CHANNELS;\nlet q = i / CHANNELS % OUT_WIDTH;\n\
                let np = i / (CHANNELS * OUT_WIDTH);\nlet n = np / OUT_HEIGHT;\nlet p = np % OUT_HEIGHT;\n\
                var most = -3.0e38;\nvar least = 3.0e38;\nvar sum = 0.0;\nvar squares = 0.0;\n\
                for (var r = 0u; r < KERNEL_H; r++) {\nfor (var s = 0u; s < KERNEL_W; s++) {\n\
                let v = x[((n * HEIGHT + p * STRIDE_H + r) * WIDTH + q * STRIDE_W + s) * CHANNELS + c];\n\
                most = max(most, v);\nleast = min(least, v);\nsum += v;\nsquares += v * v;\n}\n}\n\
                if KIND == 0u { y[i] = most; }\nif KIND == 1u { y[i] = least; }\n\
                if KIND == 2u { y[i] = sum / f32(KERNEL_H * KERNEL_W); }\nif KIND == 3u { y[i] = sqrt(squares); }\n}\n";
    let all = report(pool, "pool2d.forward", "");
    assert!(!all.failed() && all.shapes > 60, "{all}");
    let most = report(
        &pool.replace("const KIND = 0u;", "const WHICH = 0u;").replace("KIND ==", "WHICH =="),
        "pool2d.forward",
        "",
    );
    assert!(!most.failed() && most.shapes * 3 < all.shapes, "{most}");
    let wrong = report(&pool.replace("sqrt(squares)", "squares"), "pool2d.forward", "kind=l2");
    assert!(wrong.failed() && wrong.shapes > 20, "{wrong}");
}

#[test]
fn without_a_gpu_there_is_one_clear_error() {
    let kernel = OwnKernel::new("mine.wgsl", CONV, "conv2d.forward").unwrap();
    for choice in &devices()[..2] {
        let device = Device::open_blocking(&choice.parse().unwrap()).unwrap();
        let said = kernel.verify_blocking(&device).map(drop).unwrap_err().to_string();
        assert!(said.starts_with("a shader needs a GPU or a software driver, and this is CPU"), "{choice}: {said}");
    }
}

#[test]
fn the_command_prints_the_same() {
    let place = Place::new();
    let [.., device] = devices();
    fs::write(place.path("mine.wgsl"), CONV).unwrap();
    fs::write(place.path("wrong.wgsl"), broken("q * STRIDE_W", "q * STRIDE_H")).unwrap();
    fs::write(place.path("typo.wgsl"), broken("y[i] = sum;", "y[i] = summ;")).unwrap();
    let args = |file: &str| format!("verify --kernel {file} --as conv2d.forward --device {device} --shape {SHAPE}");
    let right = place.stdout(&args("mine.wgsl"));
    assert!(
        right.starts_with("mine.wgsl as conv2d.forward on ") && right.contains(": pass, worst error 0."),
        "{right}"
    );
    let output = place.run(&args("wrong.wgsl"));
    let printed = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{printed}");
    assert!(printed.contains("FAIL Forward {") && printed.contains("  y["), "{printed}");
    place.refuses(1, &args("typo.wgsl"), &["--> typo.wgsl:51:12", "y[i] = summ;", "^^^^"]);
    place.refuses(1, &args("none.wgsl"), &["none.wgsl"]);
    place.refuses(2, "verify --kernel mine.wgsl", &["--as"]);
    place.refuses(2, "verify --kernel mine.wgsl --as conv2d.forward --quick", &["--quick"]);
    place.refuses(1, "verify --kernel mine.wgsl --as conv3d --device auto", &["no pass `conv3d`: expected one of"]);
    let no_gpu = "verify --kernel mine.wgsl --as conv2d.forward --device cpu";
    place.refuses(1, no_gpu, &["a shader needs a GPU or a software driver, and this is CPU"]);
}
