//! What a signal does to the program. A signal that was ignored when the program started stays ignored: that is how `nohup`
//! protects a run from the end of a session, and how a shell keeps Ctrl-C from programs in the background.

use super::INTERRUPTED;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

/// Set by the first Ctrl-C, request to end (`SIGTERM`) or end of the session (`SIGHUP`); the second ends the program. It is
/// the same flag for everyone who asks.
pub fn stop_on_ctrl_c() -> Arc<AtomicBool> {
    static STOP: OnceLock<Arc<AtomicBool>> = OnceLock::new();
    let flag = STOP.get_or_init(|| {
        let stop = Arc::new(AtomicBool::new(false));
        platform::set_on_request(&stop);
        stop
    });
    flag.clone()
}

/// Lets a write beyond the limit on the size of files (`ulimit -f`) fail with an error like any other, where the system
/// would end the program.
pub fn keep_file_size_an_error() {
    platform::keep_file_size_an_error();
}

/// Ends the program without tearing anything down: threads of a driver may be at work on it.
pub fn end_at_once() -> ! {
    platform::end_at_once()
}

#[cfg(unix)]
mod platform {
    use super::*;
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::flag;

    // Where a handler cannot be installed, the signal still ends the program, only without saving.
    pub fn set_on_request(stop: &Arc<AtomicBool>) {
        for signal in [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| !is_ignored(*signal)) {
            // Actions are taken in the order of their registration: what ends the program looks at the flag first.
            let _ = flag::register_conditional_shutdown(signal, i32::from(INTERRUPTED), stop.clone());
            let _ = flag::register(signal, stop.clone());
        }
    }

    pub fn keep_file_size_an_error() {
        if !is_ignored(libc::SIGXFSZ) {
            // Any handler will do. Programs that this one starts have the usual action again.
            let _ = flag::register(libc::SIGXFSZ, Arc::default());
        }
    }

    pub fn end_at_once() -> ! {
        signal_hook::low_level::exit(libc::EXIT_FAILURE)
    }

    /// Whether whoever started the program had the signal ignored.
    #[expect(unsafe_code, reason = "no safe interface says what a signal does at present")]
    fn is_ignored(signal: i32) -> bool {
        let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
        // SAFETY: without a new action the call only writes the present one to `action`, of which all zeros are a valid
        // value should it fail.
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
    use std::sync::atomic::Ordering;

    pub fn set_on_request(stop: &Arc<AtomicBool>) {
        let stop = stop.clone();
        // Without the handler Ctrl-C still ends the program, only without saving.
        let _ = ctrlc::set_handler(move || {
            if stop.swap(true, Ordering::Relaxed) {
                std::process::exit(i32::from(INTERRUPTED));
            }
        });
    }

    pub fn end_at_once() -> ! {
        std::process::abort()
    }

    /// There is no such limit.
    pub fn keep_file_size_an_error() {}
}
