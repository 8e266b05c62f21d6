//! Compares `--device cpu` with the shaders on a software driver, from speeds measured on this machine.

use super::output::grouped;

/// How many times as fast the CPU engine must be for a note.
const LEAST_GAIN: f64 = 1.1;

/// A note on the two speeds, in images per second; `None` if `--device cpu` would gain too little.
pub fn words(cpu: f64, shaders: f64) -> Option<String> {
    let ratio = cpu / shaders;
    (ratio >= LEAST_GAIN).then(|| {
        format!(
            "note: the shaders run on a software driver here; `--device cpu` is about {ratio:.1} times as fast ({} instead \
             of {} images/s)",
            about(cpu),
            about(shaders)
        )
    })
}

/// Rounds to two significant digits: the measurement takes only a third of a second.
fn about(rate: f64) -> String {
    let unit = 10f64.powf(rate.log10().floor() - 1.0);
    let rounded = (rate / unit).round() * unit;
    if unit < 1.0 { format!("{rounded:.1}") } else { grouped(rounded.round() as u64) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_rounded_and_compared() {
        let said = words(4_129.0, 1_660.0).unwrap();
        assert!(said.ends_with("about 2.5 times as fast (4,100 instead of 1,700 images/s)"), "{said}");
        assert_eq!(words(4_129.0, 4_000.0), None);
        assert_eq!([9.96, 99.6, 3.04, 885.0].map(about), ["10.0", "100", "3.0", "890"]);
    }
}
