//! Mean and standard deviation over seeds.

/// Statistics of a number over several runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Number of runs.
    pub n: usize,
    pub mean: f64,
    /// Sample standard deviation, with n - 1; `None` for one run.
    pub sd: Option<f64>,
}

impl Sample {
    /// The statistics of these values; `None` if there are none.
    pub fn of(values: &[f64]) -> Option<Sample> {
        let (first, n) = (*values.first()?, values.len());
        // Rounding must not turn equal numbers into a spread.
        if values.iter().all(|value| *value == first) {
            return Some(Sample { n, mean: first, sd: (n > 1).then_some(0.0) });
        }
        let mean = values.iter().sum::<f64>() / n as f64;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        Some(Sample { n, mean, sd: Some((squares / (n - 1) as f64).sqrt()) })
    }

    /// How far the mean is above a number, in standard deviations; `None` if there is no spread.
    pub fn difference(&self, from: f64) -> Option<f64> {
        let sd = self.sd.filter(|sd| *sd > 0.0)?;
        Some((self.mean - from) / sd)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_deviation_by_hand() {
        // Squares of the differences from 5: 9, 1, 1, 1, 0, 0, 4, 16; their sum over 7 is 32 / 7.
        let sample = Sample::of(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]).unwrap();
        assert_eq!((sample.n, sample.mean), (8, 5.0));
        assert!((sample.sd.unwrap() - (32.0f64 / 7.0).sqrt()).abs() < 1e-15);
        let two = Sample::of(&[1.0, 3.0]).unwrap();
        assert_eq!((two.mean, two.sd), (2.0, Some(2f64.sqrt())));
        assert!((two.difference(5.0).unwrap() + 3.0 / 2f64.sqrt()).abs() < 1e-15);
    }

    #[test]
    fn one_run_has_no_spread_and_none_has_nothing() {
        let one = Sample::of(&[0.7]).unwrap();
        assert_eq!(one, Sample { n: 1, mean: 0.7, sd: None });
        assert_eq!(one.difference(0.5), None);
        assert_eq!(Sample::of(&[]), None);
    }

    #[test]
    fn equal_numbers_have_a_spread_of_zero_and_no_difference_in_it() {
        let equal = Sample::of(&[0.1; 3]).unwrap();
        assert_eq!(equal, Sample { n: 3, mean: 0.1, sd: Some(0.0) });
        assert_eq!(equal.difference(0.2), None);
    }
}
