//! Clocks: dates for people, and instants for measuring durations.
//!
//! In a browser the standard library has no clock and its types panic, so they come from `web-time`, which asks
//! JavaScript. The user's time zone is known with the feature `local-time`; without it, dates are in UTC.

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use std::time::Instant;
#[cfg(target_arch = "wasm32")]
pub(crate) use web_time::Instant;

/// Today's date: `2026-11-30`.
pub fn today() -> String {
    now().0
}

/// Date and time to the second, with the offset from UTC: `2026-11-30T13:37:27+01:00`.
pub fn now_text() -> String {
    let (date, time) = now();
    format!("{date}T{time}")
}

/// Date and time: `2026-11-30` and `13:37:27+01:00`.
#[cfg(feature = "local-time")]
fn now() -> (String, String) {
    let now = jiff::ZonedDateTime::now();
    (now.strftime("%Y-%m-%d").to_string(), now.strftime("%H:%M:%S%:z").to_string())
}

/// Date and time in UTC: `2026-11-30` and `12:37:27+00:00`.
#[cfg(not(feature = "local-time"))]
fn now() -> (String, String) {
    #[cfg(not(target_arch = "wasm32"))]
    use std::time::{SystemTime, UNIX_EPOCH};
    #[cfg(target_arch = "wasm32")]
    use web_time::{SystemTime, UNIX_EPOCH};
    utc(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
}

/// Date and time in UTC, this many seconds after the start of 1970.
#[cfg(any(test, not(feature = "local-time")))]
fn utc(seconds: u64) -> (String, String) {
    const DAY: u64 = 24 * 60 * 60;
    let (mut days, second) = (seconds / DAY, seconds % DAY);
    let is_leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let mut year = 1970;
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    let (hour, minute) = (second / 3600, second / 60 % 60);
    (format!("{year:04}-{month:02}-{:02}", days + 1), format!("{hour:02}:{minute:02}:{:02}+00:00", second % 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_in_utc_are_those_of_the_calendar() {
        let text = |seconds| {
            let (date, time) = utc(seconds);
            format!("{date}T{time}")
        };
        for (seconds, is) in [
            (0, "1970-01-01T00:00:00+00:00"),
            (951_782_399, "2000-02-28T23:59:59+00:00"),
            (951_782_400, "2000-02-29T00:00:00+00:00"),
            (1_709_251_199, "2024-02-29T23:59:59+00:00"),
            (1_735_689_599, "2024-12-31T23:59:59+00:00"),
            (1_735_689_600, "2025-01-01T00:00:00+00:00"),
            (4_107_542_400, "2100-03-01T00:00:00+00:00"),
        ] {
            assert_eq!(text(seconds), is);
        }
    }

    #[test]
    fn now_is_a_date_a_time_and_an_offset() {
        let now = now_text();
        let like: String = now.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        assert!(["0000-00-00T00:00:00+00:00", "0000-00-00T00:00:00-00:00"].contains(&like.as_str()), "{now}");
        assert!(now.as_str() >= "2026-01-01" && today() <= now_text(), "{now}");
    }

    #[cfg(feature = "local-time")]
    #[test]
    fn dates_in_utc_are_those_of_jiff() {
        for seconds in (0..5_000_000_000_i64).step_by(12_345_678) {
            let (date, time) = utc(seconds as u64);
            let theirs = jiff::Timestamp::from_second(seconds).unwrap().strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string();
            assert_eq!(format!("{date}T{time}"), theirs);
        }
    }
}
