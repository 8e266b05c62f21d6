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
        machine.with_tools(&["env", "mkdir"]);
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

    fn with_tools(&self, tools: &[&str]) {
        for tool in tools {
            let found =
                ["/usr/bin", "/bin"].map(|folder| Path::new(folder).join(tool)).into_iter().find(|it| it.exists());
            symlink(found.unwrap(), self.path("bin").join(tool)).unwrap();
        }
    }

    /// Debian, whose mirror has this version of Mesa: apt as far as the newer Mesa takes it.
    fn with_newer_mesa_on_a_mirror(self, version: &str) -> Machine {
        self.with_tools(&[
            "cat", "chmod", "dirname", "grep", "head", "ln", "mktemp", "mv", "rm", "sed", "sort", "tar", "touch",
        ]);
        fs::create_dir_all(self.path("etc")).unwrap();
        fs::write(self.path("etc/os-release"), "ID=debian\nVERSION_CODENAME=bookworm\n").unwrap();
        self.program("apt-config", "echo 'Acquire::http::Proxy \"of the system\";'\necho 'DPkg::Hook \"\";'");
        self.program(
            "apt-get",
            "case \"$*\" in\n\
             *--print-uris) echo \"'mirror:/debian/dists/bookworm/InRelease' name 0\"; exit ;;\n\
             esac\n\
             echo apt-get \"$@\" >>\"$LOG\"\n\
             cp=$(sed -n 's/^Dir::Cache \"\\(.*\\)\";/\\1/p' \"$APT_CONFIG\")\n\
             grep -E 'Proxy|Hook' \"$APT_CONFIG\" >>\"$LOG\"\n\
             cat \"$cp/sources.list\" >>\"$LOG\"\n\
             case \"$*\" in\n\
             install*) cat \"$SHADEGRAD_ROOT/package\" >\"$cp/archives/mesa-vulkan-drivers_1_all.deb\" ;;\n\
             esac",
        );
        self.program(
            "dpkg-deb",
            &format!("case $1 in --fsys-tarfile) cat \"$2\" ;; --field) echo {version} ;; *) exit 1 ;; esac"),
        );
        self.program("dpkg", "[ \"$(printf '%s\\n' \"$2\" \"$4\" | sort -V | head -n 1)\" = \"$4\" ]");
        // The only package: lavapipe and a loader that shows how it is called, and what is left out.
        let files = self.path("files");
        for (name, content) in [
            ("usr/lib/some-linux-gnu/ld-linux-some.so.2", "#!/bin/sh\necho \"$VK_DRIVER_FILES\" \"$@\"\n"),
            ("usr/lib/some-linux-gnu/libvulkan_lvp.so", ""),
            ("usr/lib/some-linux-gnu/libvulkan_radeon.so", ""),
            ("usr/share/doc/mesa", ""),
        ] {
            fs::create_dir_all(files.join(name).parent().unwrap()).unwrap();
            fs::write(files.join(name), content).unwrap();
            fs::set_permissions(files.join(name), PermissionsExt::from_mode(0o755)).unwrap();
        }
        let tar = Command::new("tar").arg("-cf").arg(self.path("package")).arg("-C").arg(&files).arg(".").status();
        assert!(tar.unwrap().success());
        self
    }

    /// The folder in which the newer Mesa is looked for.
    fn mesa(&self) -> PathBuf {
        self.path("home/.cache/shadegrad/mesa")
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
    let mesa = "setup: no newer Mesa, which only Debian has: the checks will do without it\n";
    let said = format!("setup: no SwiftShader: the checks will do without it\n{mesa}setup: ready\n");
    assert_eq!(machine.run(&["checks"]), (Some(0), said, String::new()));
    let manifest = machine.path("swiftshader.json");
    fs::write(&manifest, "").unwrap();
    let output = machine.command(&["checks"]).env("SHADEGRAD_SECOND_DRIVER", manifest).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{mesa}setup: ready\n"));
}

#[test]
fn a_newer_mesa_is_unpacked_and_nothing_is_installed() {
    let machine = Machine::new("apt-get").with_driver().with_newer_mesa_on_a_mirror("26.1.6");
    let ready = format!("setup: Mesa 26.1.6 is in {}\nsetup: ready\n", machine.mesa().display());
    let (status, stdout, stderr) = machine.run(&["newer-mesa"]);
    assert_eq!((status, stderr.as_str()), (Some(0), ""), "{stdout}");
    assert!(stdout.ends_with(&ready), "{stdout}");
    // Signed, from the mirror of the system and through its proxy, but without its hooks.
    let sources = ["trixie", "trixie-backports"].map(|suite| {
        format!("deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] mirror:/debian {suite} main")
    });
    let proxy = "Acquire::http::Proxy \"of the system\";";
    let install = "apt-get install -q -y --download-only -t trixie-backports mesa-vulkan-drivers libvulkan1 libc6 \
                   libgcc-s1";
    let update = "apt-get update -q -o APT::Update::Error-Mode=any";
    let [old, new] = &sources;
    assert_eq!(machine.log(), [update, proxy, old, new, install, proxy, old, new]);
    let lib = machine.mesa().join("lib");
    assert!(lib.join("libvulkan_lvp.so").exists() && !lib.join("libvulkan_radeon.so").exists());
    assert!(!machine.mesa().join("root/usr/share").exists() && !machine.mesa().join("apt").exists());
    let manifest = fs::read_to_string(machine.mesa().join("lavapipe.json")).unwrap();
    assert!(manifest.contains("\"./lib/libvulkan_lvp.so\""), "{manifest}");

    // What is there is not downloaded again.
    assert_eq!(machine.run(&["newer-mesa"]), (Some(0), ready, String::new()));
    assert_eq!(machine.log().len(), 8);

    let launcher = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/with-newer-mesa");
    let output = Command::new(launcher).args(["sh", "a b"]).env("SHADEGRAD_MESA", machine.mesa()).output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    let mesa = machine.mesa().canonicalize().unwrap();
    let expected = format!("{0}/lavapipe.json --argv0 sh --library-path {0}/lib ", mesa.display());
    assert!(stdout.starts_with(&expected) && stdout.ends_with("/sh a b\n"), "{stdout}");
}

#[test]
fn a_newer_mesa_that_cannot_be_had_leaves_nothing_behind() {
    let left = |machine: &Machine| fs::read_dir(machine.path("home/.cache/shadegrad")).map_or(0, Iterator::count);
    let machine = Machine::new("apt-get").with_driver().with_newer_mesa_on_a_mirror("25.3.1");
    let (status, _, stderr) = machine.run(&["newer-mesa"]);
    assert_eq!((status, left(&machine)), (Some(1), 0), "{stderr}");
    assert!(stderr.contains("has Mesa 25.3.1 in trixie-backports, but 26.1 or newer is wanted"), "{stderr}");

    // Nobody answers.
    let apt = "case \"$*\" in *--print-uris) echo \"'mirror:/debian/dists/bookworm/InRelease' name 0\"; exit ;; esac\n\
               echo 'Err:1 mirror'; echo 'E: Could not resolve the mirror'; exit 100";
    machine.program("apt-get", apt);
    let machine = machine.with_mpi();
    for tool in ["spirv-val", "glslangValidator", "chromium"] {
        machine.program(tool, "");
    }
    // The checks do without it, and say so.
    for (args, expected, says) in
        [(["newer-mesa"], 1, ""), (["checks"], 0, "no newer Mesa: the checks will do without it")]
    {
        let (status, stdout, stderr) = machine.run(&args);
        assert_eq!((status, left(&machine)), (Some(expected), 0), "{stderr}");
        assert!(stdout.contains(says), "{stdout}");
        let expected = "E: Could not resolve the mirror\nsetup: Mesa could not be downloaded from mirror:/debian; nothing \
                        was changed\n";
        assert_eq!(stderr, expected);
    }

    let machine = Machine::new("dnf").with_driver();
    let (status, _, stderr) = machine.run(&["newer-mesa"]);
    assert!(status == Some(1) && stderr.contains("only apt on Debian"), "{stderr}");
    let launcher = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/with-newer-mesa");
    let output = Command::new(launcher).arg("sh").env("SHADEGRAD_MESA", machine.mesa()).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && stderr.contains("run scripts/setup newer-mesa"), "{stderr}");
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
        assert!(stdout.starts_with("Usage: scripts/setup [mpi] [checks] [newer-mesa] [--yes]\n"), "{args:?}: {stdout}");
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
