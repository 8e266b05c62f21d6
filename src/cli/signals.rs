//! How the program handles signals. A signal that was ignored when the program started stays ignored: this is how
//! `nohup` protects a run from the end of a session, and how shells keep Ctrl-C from background programs.

use super::INTERRUPTED;
use super::output::errln;
use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

/// After the first request to end, further ones are ignored for this long: wrappers such as `timeout`, `npm` and `uv`
/// forward the Ctrl-C that the terminal has already sent to the program.
const GRACE: Duration = Duration::from_secs(1);

/// A flag that is set by the first Ctrl-C, request to end (`SIGTERM`) or end of the session (`SIGHUP`). A later one,
/// after [`GRACE`], ends the program at once. All callers get the same flag.
pub fn stop_on_ctrl_c() -> Arc<AtomicBool> {
    static STOP: OnceLock<Arc<AtomicBool>> = OnceLock::new();
    let flag = STOP.get_or_init(|| {
        let stop = Arc::new(AtomicBool::new(false));
        platform::on_request(Requests { stop: stop.clone(), first: None });
        stop
    });
    flag.clone()
}

/// The state that decides what the next request to end does.
struct Requests {
    stop: Arc<AtomicBool>,
    first: Option<Instant>,
}

impl Requests {
    /// Handles the next request. Returns whether the program must end at once.
    fn next(&mut self) -> bool {
        match self.first {
            None => {
                self.first = Some(Instant::now());
                self.stop.store(true, Ordering::Relaxed);
                if std::io::stderr().is_terminal() {
                    errln!("stopping; a second Ctrl-C ends the program at once, without saving");
                }
                false
            }
            Some(first) if first.elapsed() < GRACE => false,
            Some(_) => {
                errln!("ended at once; what was not saved yet is lost");
                true
            }
        }
    }
}

/// Makes a write beyond the file size limit (`ulimit -f`) fail with an ordinary error; by default, the system would end
/// the program.
pub fn keep_file_size_an_error() {
    platform::keep_file_size_an_error();
}

/// Ends the program without cleaning up, because threads of a driver may still be running.
pub fn end_at_once() -> ! {
    platform::end_at_once()
}

#[cfg(unix)]
mod platform {
    use super::*;
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::flag;
    use signal_hook::iterator::Signals;

    // If handlers cannot be installed, a signal still ends the program, only without saving.
    pub fn on_request(mut requests: Requests) {
        let wanted = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| !is_ignored(*signal));
        let Ok(mut signals) = Signals::new(wanted) else { return };
        let _ = std::thread::Builder::new().name("signals".into()).spawn(move || {
            for _ in signals.forever() {
                if requests.next() {
                    signal_hook::low_level::exit(i32::from(INTERRUPTED));
                }
            }
        });
    }

    pub fn keep_file_size_an_error() {
        if !is_ignored(libc::SIGXFSZ) {
            // Any handler will do. Programs that this one starts get the default action again.
            let _ = flag::register(libc::SIGXFSZ, Arc::default());
        }
    }

    pub fn end_at_once() -> ! {
        signal_hook::low_level::exit(libc::EXIT_FAILURE)
    }

    /// Whether the process that started the program had the signal ignored.
    #[expect(unsafe_code, reason = "no safe interface says what a signal does at present")]
    fn is_ignored(signal: i32) -> bool {
        let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
        // SAFETY: without a new action, the call only writes the current one to `action`; all zeros are a valid value
        // should it fail.
        let action = unsafe {
            libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr());
            action.assume_init()
        };
        action.sa_sigaction == libc::SIG_IGN
    }
}

#[cfg(not(unix))]
mod platform {
    use super::*;

    pub fn on_request(mut requests: Requests) {
        // Without the handler, Ctrl-C still ends the program, only without saving.
        let _ = ctrlc::set_handler(move || {
            if requests.next() {
                std::process::exit(i32::from(INTERRUPTED));
            }
        });
    }

    pub fn end_at_once() -> ! {
        std::process::abort()
    }

    /// There is no such limit on this system.
    pub fn keep_file_size_an_error() {}
}
