//! `scripts/setup` on machines made up of a few files: a root folder that lacks a driver, and a path on which a package
//! manager writes down how it was called.
#![cfg(unix)]

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const APT_UPDATE: &str = "env DEBIAN_FRONTEND=noninteractive apt-get update -q -o Acquire::Retries=3";
const APT_INSTALL: &str =
    "env DEBIAN_FRONTEND=noninteractive apt-get install -q -y -o Acquire::Retries=3 --no-install-recommends";
const DRIVER: &str = "mesa-vulkan-drivers libvulkan1";

/// A machine with cargo, and with the package manager `manager`, which installs a driver whatever it is asked for.
struct Machine {
    folder: tempfile::TempDir,
    manager: &'static str,
}

impl Machine {
    fn new(manager: &'static str) -> Machine {
        let machine = Machine { folder: tempfile::tempdir().unwrap(), manager };
        fs::create_dir_all(machine.path("bin")).unwrap();
        fs::create_dir_all(machine.path("home")).unwrap();
        for tool in ["env", "mkdir"] {
            let found =
                ["/usr/bin", "/bin"].map(|folder| Path::new(folder).join(tool)).into_iter().find(|it| it.exists());
            symlink(found.unwrap(), machine.path("bin").join(tool)).unwrap();
        }
        machine.program("uname", "echo Linux");
        machine.program("id", "echo 0");
        machine.program("cargo", "");
        machine.program("cc", "");
        machine.program(
            manager,
            &format!(
                "echo {manager} \"$@\" >>\"$LOG\"\n\
                 mkdir -p \"$SHADEGRAD_ROOT/usr/share/vulkan/icd.d\" \"$SHADEGRAD_ROOT/usr/lib\"\n\
                 : >\"$SHADEGRAD_ROOT/usr/share/vulkan/icd.d/lvp_icd.json\"\n\
                 : >\"$SHADEGRAD_ROOT/usr/lib/libvulkan.so.1\""
            ),
        );
        machine
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn program(&self, name: &str, body: &str) {
        let path = self.path("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
        fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
    }

    fn without_program(&self, name: &str) {
        fs::remove_file(self.path("bin").join(name)).unwrap();
    }

    /// Sudo, for a user who is not root.
    fn with_sudo(self) -> Machine {
        self.program("id", "echo 1000");
        self.program("sudo", "echo sudo >>\"$LOG\"\nexec \"$@\"");
        self
    }

    fn with_driver(self) -> Machine {
        for (folder, file) in [("usr/share/vulkan/icd.d", "lvp_icd.json"), ("usr/lib", "libvulkan.so.1")] {
            fs::create_dir_all(self.path(folder)).unwrap();
            fs::write(self.path(folder).join(file), "").unwrap();
        }
        self
    }

    fn command(&self, args: &[&str]) -> Command {
        // By its whole path: the path of the machine has no bash.
        let bash = ["/bin/bash", "/usr/bin/bash", "/usr/local/bin/bash"].into_iter().find(|it| Path::new(it).exists());
        let mut command = Command::new(bash.unwrap_or("bash"));
        command
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/setup"))
            .args(args)
            .env_clear()
            .env("PATH", self.path("bin"))
            .env("HOME", self.path("home"))
            .env("LOG", self.path("log"))
            .env("SHADEGRAD_ROOT", self.folder.path());
        command
    }

    /// An MPI and libclang, as building with the feature `mpi` needs them.
    fn with_mpi(self) -> Machine {
        for tool in ["mpicc", "mpirun"] {
            self.program(tool, "");
        }
        fs::create_dir_all(self.path("usr/lib/llvm-14/lib")).unwrap();
        fs::write(self.path("usr/lib/llvm-14/lib/libclang.so.1"), "").unwrap();
        self
    }

    /// Runs it without a terminal.
    fn run(&self, args: &[&str]) -> (Option<i32>, String, String) {
        let Output { status, stdout, stderr } = self.command(args).stdin(Stdio::null()).output().unwrap();
        (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
    }

    /// Runs it on a terminal, on which `typed` is typed: status, and what is on the screen.
    fn on_terminal(&self, args: &[&str], typed: &str) -> (Option<i32>, String) {
        on_terminal(&mut self.command(args), typed)
    }

    /// Every call of the package manager and of sudo, in order.
    fn log(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("log")).unwrap_or_default();
        text.lines().map(str::to_string).collect()
    }

    /// The calls of the package manager that install a driver.
    fn installs_driver(&self) -> bool {
        self.log()
            .iter()
            .any(|line| line.starts_with(self.manager) && line.contains("install") && line.ends_with(DRIVER))
    }
}

/// Both ends of a new pseudo-terminal: the user's and the program's.
fn terminal() -> (File, OwnedFd) {
    let (mut user, mut program) = (0, 0);
    let none = std::ptr::null_mut();
    #[expect(unsafe_code, reason = "the standard library has no pseudo-terminals")]
    // SAFETY: the numbers are written where the two references point; null stands for a name that is not wanted and for
    // the default settings. On success both are open and nobody else's.
    let (user, program) = unsafe {
        assert_eq!(libc::openpty(&raw mut user, &raw mut program, none, std::ptr::null_mut(), std::ptr::null_mut()), 0);
        (File::from_raw_fd(user), OwnedFd::from_raw_fd(program))
    };
    assert!(user.as_raw_fd() != program.as_raw_fd());
    (user, program)
}

fn on_terminal(command: &mut Command, typed: &str) -> (Option<i32>, String) {
    let (mut user, program) = terminal();
    let copy = || Stdio::from(program.try_clone().unwrap());
    let mut child = command.stdin(copy()).stdout(copy()).stderr(copy()).spawn().unwrap();
    // The command holds copies too. Once all are closed, reading ends.
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    drop(program);
    // The end of the input stands behind it, so that a question that nobody expected does not wait forever.
    user.write_all(format!("{typed}\x04").as_bytes()).unwrap();
    let mut screen = Vec::new();
    let mut part = [0; 4096];
    // Linux ends it with an error, other systems with nothing more to read.
    while let Ok(count) = user.read(&mut part)
        && count > 0
    {
        screen.extend_from_slice(&part[..count]);
    }
    let status = child.wait().unwrap();
    (status.code(), String::from_utf8(screen).unwrap().replace('\r', ""))
}

#[test]
fn a_machine_that_lacks_nothing_is_left_alone() {
    let machine = Machine::new("apt-get").with_driver();
    assert_eq!(machine.run(&[]), (Some(0), "setup: ready\n".to_string(), String::new()));
    let (status, screen) = machine.on_terminal(&[], "");
    assert_eq!((status, screen.as_str()), (Some(0), "setup: ready\n"));
    assert_eq!(machine.log(), [""; 0]);
}

#[test]
fn packages_and_commands_are_listed_before_they_are_installed() {
    let machine = Machine::new("apt-get");
    let (status, stdout, stderr) = machine.run(&[]);
    assert_eq!((status, stderr.as_str()), (Some(0), ""), "{stdout}");
    let expected = format!(
        "setup: missing: Vulkan driver or loader\nsetup: packages to install: {DRIVER}\nsetup: commands:\n    \
         {APT_UPDATE}\n    {APT_INSTALL} {DRIVER}\nsetup: ready\n"
    );
    assert_eq!(stdout, expected);
    // What was listed is what was run.
    let calls: Vec<String> = [APT_UPDATE.to_string(), format!("{APT_INSTALL} {DRIVER}")]
        .map(|call| call.replace("env DEBIAN_FRONTEND=noninteractive ", ""))
        .into();
    assert_eq!(machine.log(), calls);
}

#[test]
fn on_a_terminal_it_asks_first() {
    for (answer, is_yes) in [("\n", true), ("y\n", true), ("YES\n", true), ("n\n", false), ("No\n", false), ("", false)]
    {
        let machine = Machine::new("apt-get");
        let (status, screen) = machine.on_terminal(&[], answer);
        assert!(screen.contains("Install these packages with apt-get? [Y/n]"), "{answer:?}: {screen}");
        assert_eq!(machine.installs_driver(), is_yes, "{answer:?}: {screen}");
        assert_eq!(status, Some(i32::from(!is_yes)), "{answer:?}: {screen}");
        assert_eq!(screen.ends_with("setup: ready\n"), is_yes, "{answer:?}: {screen}");
    }
}

#[test]
fn a_no_names_the_commands_to_run_by_hand() {
    let machine = Machine::new("apt-get").with_sudo();
    let (status, screen) = machine.on_terminal(&[], "n\n");
    assert_eq!((status, machine.log()), (Some(1), vec![]), "{screen}");
    let (_, end) = screen.split_once("nothing was installed").unwrap();
    assert_eq!(
        end,
        format!("; to install the packages by hand, run\n    sudo {APT_UPDATE}\n    sudo {APT_INSTALL} {DRIVER}\n")
    );
}

#[test]
fn an_unclear_answer_is_asked_for_again() {
    let machine = Machine::new("apt-get");
    let (status, screen) = machine.on_terminal(&[], "what\nn\n");
    assert_eq!((status, machine.log()), (Some(1), vec![]), "{screen}");
    assert!(screen.contains("Please answer y or n."), "{screen}");
    assert_eq!(screen.matches("[Y/n]").count(), 2, "{screen}");
}

#[test]
fn sudo_is_named_and_used_by_those_who_are_not_root() {
    let machine = Machine::new("apt-get").with_sudo();
    let (status, screen) = machine.on_terminal(&[], "y\n");
    assert_eq!(status, Some(0), "{screen}");
    assert!(screen.contains("Install these packages with sudo apt-get? [Y/n]"), "{screen}");
    assert!(screen.contains(&format!("\n    sudo {APT_INSTALL} {DRIVER}\n")), "{screen}");
    assert_eq!(machine.log().iter().filter(|line| *line == "sudo").count(), 2);
    assert!(machine.installs_driver());
}

#[test]
fn without_root_and_sudo_nothing_is_tried() {
    let machine = Machine::new("apt-get");
    machine.program("id", "echo 1000");
    let (status, stdout, stderr) = machine.run(&["--yes"]);
    assert_eq!((status, machine.log()), (Some(1), vec![]), "{stdout}");
    assert!(stderr.contains("not root") && stdout.contains(&format!("{APT_INSTALL} {DRIVER}")), "{stdout}{stderr}");
}

#[test]
fn nobody_is_asked_with_yes_or_in_ci() {
    for args in [&["--yes"][..], &["-y"], &["checks", "--yes"], &["--yes", "checks"], &["mpi", "-y"]] {
        let machine = Machine::new("apt-get").with_mpi();
        for tool in ["spirv-val", "glslangValidator", "chromium"] {
            machine.program(tool, "");
        }
        let (status, screen) = machine.on_terminal(args, "");
        assert!(!screen.contains("[Y/n]") && machine.installs_driver(), "{args:?}: {screen}");
        assert_eq!(status, Some(0), "{args:?}: {screen}");
    }
    let machine = Machine::new("apt-get");
    let (status, screen) = on_terminal(machine.command(&[]).env("CI", "true"), "");
    assert!(!screen.contains("[Y/n]") && machine.installs_driver(), "{screen}");
    assert_eq!(status, Some(0), "{screen}");
}

#[test]
fn output_to_a_file_is_no_terminal() {
    let machine = Machine::new("apt-get");
    let (mut user, program) = terminal();
    user.write_all(b"\x04").unwrap();
    let output = machine.command(&[]).stdin(program).output().unwrap();
    drop(user);
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && !stdout.contains("[Y/n]") && machine.installs_driver(), "{stdout}");
}

#[test]
fn checks_install_validators_and_a_browser_besides() {
    let machine = Machine::new("apt-get").with_mpi();
    machine.program("chromium", "exit 1"); // Ubuntu's stub
    let (status, stdout, stderr) = machine.run(&["checks"]);
    assert!(
        stdout.contains(&format!("packages to install: {DRIVER} spirv-tools glslang-tools chromium\n")),
        "{stdout}"
    );
    // The package manager of this machine installs a driver and nothing else, and that is noticed.
    assert_eq!(status, Some(1), "{stdout}");
    assert!(stderr.contains("still no spirv-val or glslangValidator"), "{stderr}");
}

#[test]
fn mpi_installs_open_mpi_and_libclang() {
    let machine = Machine::new("apt-get").with_driver();
    let (status, stdout, stderr) = machine.run(&["mpi"]);
    assert!(stdout.contains("setup: missing: MPI, libclang\n"), "{stdout}");
    assert!(stdout.contains("packages to install: openmpi-bin libopenmpi-dev libclang-dev\n"), "{stdout}");
    // The package manager of this machine installs a driver and nothing else, and that is noticed.
    assert_eq!(status, Some(1), "{stdout}");
    assert!(stderr.contains("still no mpicc"), "{stderr}");
    // Nobody needs it who did not ask for it.
    assert_eq!(machine.run(&[]), (Some(0), "setup: ready\n".to_string(), String::new()));
}

#[test]
fn an_mpi_that_is_there_is_enough() {
    let ready = (Some(0), "setup: ready\n".to_string(), String::new());
    let machine = Machine::new("apt-get").with_driver().with_mpi();
    assert_eq!(machine.run(&["mpi"]), ready);
    // As on a cluster, where modules bring the one and the other.
    let machine = Machine::new("apt-get").with_driver();
    machine.program("mpicc", "");
    machine.program("srun", "");
    let llvm = machine.path("apps/llvm/lib");
    fs::create_dir_all(&llvm).unwrap();
    let run = || {
        let output = machine.command(&["mpi"]).env("LIBCLANG_PATH", &llvm).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (status, _, stderr) = run();
    assert!(status == Some(1) && stderr.contains("LIBCLANG_PATH is set to "), "{stderr}");
    fs::write(llvm.join("libclang.so"), "").unwrap();
    assert_eq!(run(), ready);
    assert_eq!(machine.log(), [""; 0]);
}

#[test]
fn other_libraries_of_clang_are_not_libclang() {
    let machine = Machine::new("apt-get").with_driver().with_mpi();
    let folder = machine.path("usr/lib/llvm-14/lib");
    fs::remove_file(folder.join("libclang.so.1")).unwrap();
    fs::write(folder.join("libclang-cpp.so.14"), "").unwrap();
    let (_, stdout, _) = machine.run(&["mpi"]);
    assert!(stdout.contains("setup: missing: libclang\n"), "{stdout}");
}

#[test]
fn an_mpi_that_is_not_on_the_path_is_named() {
    let machine = Machine::new("dnf").with_driver();
    let folder = machine.path("usr/lib64/openmpi/bin");
    fs::create_dir_all(&folder).unwrap();
    machine.program("mpicc", "");
    fs::rename(machine.path("bin/mpicc"), folder.join("mpicc")).unwrap();
    let (status, stdout, stderr) = machine.run(&["mpi"]);
    assert!(status == Some(1) && stderr.contains(folder.to_str().unwrap()), "{stdout}{stderr}");
    assert!(stderr.contains("load its module"), "{stderr}");
    assert_eq!(machine.log(), [""; 0]);
}

#[test]
fn on_a_mac_homebrew_installs_open_mpi() {
    let machine = Machine::new("brew");
    machine.program("uname", "echo Darwin");
    machine.program("xcode-select", "");
    machine.program("id", "echo 501");
    assert_eq!(machine.run(&[]), (Some(0), "setup: ready\n".to_string(), String::new()));
    let (status, stdout, stderr) = machine.run(&["mpi"]);
    assert!(stdout.contains("setup: commands:\n    brew install open-mpi\n"), "{stdout}");
    assert_eq!(machine.log(), ["brew install open-mpi"]);
    assert!(status == Some(1) && stderr.contains("still no mpicc"), "{stdout}{stderr}");
    machine.without_program("brew");
    let (status, _, stderr) = machine.run(&["mpi"]);
    assert!(status == Some(1) && stderr.contains("Homebrew"), "{stderr}");
    let machine = machine.with_mpi();
    assert_eq!(machine.run(&["mpi"]), (Some(0), "setup: ready\n".to_string(), String::new()));
}

#[test]
fn checks_say_when_there_is_no_second_driver() {
    let machine = Machine::new("apt-get").with_driver().with_mpi();
    for tool in ["spirv-val", "glslangValidator", "chromium"] {
        machine.program(tool, "");
    }
    let said = "setup: no SwiftShader: the checks will run on one software driver only\n";
    assert_eq!(machine.run(&["checks"]), (Some(0), format!("{said}setup: ready\n"), String::new()));
    let manifest = machine.path("swiftshader.json");
    fs::write(&manifest, "").unwrap();
    let output = machine.command(&["checks"]).env("SHADEGRAD_SECOND_DRIVER", manifest).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "setup: ready\n");
}

#[test]
fn every_package_manager_has_its_own_names() {
    let rows = [
        (
            "dnf",
            "dnf install -y mesa-vulkan-drivers vulkan-loader gcc glibc-devel openmpi-devel clang-devel spirv-tools \
             glslang chromium",
        ),
        (
            "pacman",
            "pacman -Sy --needed --noconfirm vulkan-swrast vulkan-icd-loader gcc openmpi clang spirv-tools glslang \
             chromium",
        ),
        (
            "zypper",
            "zypper --non-interactive install libvulkan_lvp libvulkan1 gcc glibc-devel openmpi4-devel clang-devel \
             spirv-tools glslang-devel chromium",
        ),
        (
            "apk",
            "apk add mesa-vulkan-swrast vulkan-loader gcc musl-dev openmpi openmpi-dev clang-dev spirv-tools glslang \
             chromium",
        ),
    ];
    for (manager, call) in rows {
        let machine = Machine::new(manager);
        machine.without_program("cc");
        let (_, stdout, _) = machine.run(&["checks"]);
        assert!(stdout.contains(&format!("\n    {call}\n")), "{stdout}");
        assert_eq!(machine.log(), [call]);
    }
}

#[test]
fn package_lists_that_arch_has_are_not_refreshed() {
    let machine = Machine::new("pacman");
    fs::create_dir_all(machine.path("var/lib/pacman/sync")).unwrap();
    fs::write(machine.path("var/lib/pacman/sync/core.db"), "").unwrap();
    machine.run(&[]);
    assert_eq!(machine.log(), ["pacman -S --needed --noconfirm vulkan-swrast vulkan-icd-loader"]);
}

#[test]
fn a_system_without_a_known_package_manager_is_told_what_to_install() {
    let machine = Machine::new("emerge");
    let (status, stdout, stderr) = machine.run(&[]);
    assert_eq!(status, Some(1), "{stdout}");
    assert!(stdout.contains("missing: Vulkan driver or loader"), "{stdout}");
    assert!(stderr.contains("apt-get, dnf, pacman, zypper and apk") && stderr.contains("libvulkan.so.1"), "{stderr}");
}

#[test]
fn a_failing_package_manager_ends_it() {
    let machine = Machine::new("apt-get");
    machine.program("apt-get", "exit 100");
    let (status, stdout, _) = machine.run(&[]);
    assert!(status != Some(0) && !stdout.contains("ready"), "{status:?} {stdout}");
}

#[test]
fn a_driver_list_that_names_nothing_is_an_error() {
    let machine = Machine::new("apt-get").with_driver();
    let output = machine.command(&[]).env("VK_DRIVER_FILES", "/nonexistent.json").output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && stderr.contains("/nonexistent.json"), "{stderr}");
    assert_eq!(machine.log(), [""; 0]);
}

#[test]
fn unknown_arguments_are_refused_and_help_is_printed() {
    let machine = Machine::new("apt-get");
    for args in [&["check"][..], &["--no"], &["checks", "now"], &[""]] {
        let (status, stdout, stderr) = machine.run(args);
        assert_eq!((status, stdout.as_str()), (Some(2), ""), "{args:?}");
        assert!(stderr.starts_with("setup: unknown argument: ") && stderr.contains("Usage: "), "{args:?}: {stderr}");
    }
    for args in [&["--help"][..], &["-h"], &["checks", "--help"]] {
        let (status, stdout, stderr) = machine.run(args);
        assert_eq!((status, stderr.as_str()), (Some(0), ""), "{args:?}");
        assert!(stdout.starts_with("Usage: scripts/setup [mpi] [checks] [--yes]\n"), "{args:?}: {stdout}");
        let widest = stdout.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(80), "{widest:?}");
    }
    assert_eq!(machine.log(), [""; 0]);
}

#[test]
fn without_cargo_it_says_where_rust_comes_from() {
    let machine = Machine::new("apt-get").with_driver();
    machine.without_program("cargo");
    let (status, _, stderr) = machine.run(&[]);
    assert!(status == Some(1) && stderr.contains("rustup.rs"), "{stderr}");
    fs::create_dir_all(machine.path("home/.cargo")).unwrap();
    fs::write(machine.path("home/.cargo/env"), "").unwrap();
    let (status, _, stderr) = machine.run(&[]);
    assert!(status == Some(1) && stderr.contains("not on the path"), "{stderr}");
}
