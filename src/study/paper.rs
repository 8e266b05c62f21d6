//! The paper's numbers: Table I with its inconsistencies, and the systems that it compares its networks with.
//!
//! Dhumne, Nagoriya, Chandibhamar, Nayak, Shah, Shah: *Recognition of Handwritten Digit using Convolutional Neural
//! Network using Python and Tensorflow*.

/// Epochs of each of its trainings.
pub const EPOCHS: usize = 15;

/// Epochs of the feed-forward network that the paper compares its networks with.
pub const ANN_EPOCHS: usize = 50;

/// A column of Table I.
pub struct Measure {
    /// Name in `table1.csv`.
    pub key: &'static str,
    /// Name in headings.
    pub name: &'static str,
    /// Whether it is an accuracy in %; otherwise a loss.
    pub is_accuracy: bool,
}

/// The columns, in the paper's order.
pub const MEASURES: [Measure; 6] = [
    Measure { key: "min_train", name: "min. training", is_accuracy: true },
    Measure { key: "min_val", name: "min. validation", is_accuracy: true },
    Measure { key: "max_train", name: "max. training", is_accuracy: true },
    Measure { key: "max_val", name: "max. validation", is_accuracy: true },
    Measure { key: "final_val", name: "final validation", is_accuracy: true },
    Measure { key: "test_loss", name: "test loss", is_accuracy: false },
];

/// A number of Table I.
#[derive(Clone, Copy, Debug)]
pub struct Printed {
    /// An accuracy in %, or a loss.
    pub value: f64,
    /// The epoch of a minimum or maximum.
    pub epoch: Option<usize>,
    /// Refers to the note that says what is wrong with the number.
    pub mark: &'static str,
    /// Whether a comparison with the number is meaningful.
    pub is_credible: bool,
}

/// A row of Table I.
pub struct Row {
    /// The layers between the image and the ten scores.
    pub layers: &'static str,
    pub printed: [Printed; 6],
}

const fn at(value: f64, epoch: usize) -> Printed {
    Printed { value, epoch: Some(epoch), mark: "", is_credible: true }
}

const fn end(value: f64) -> Printed {
    Printed { value, epoch: None, mark: "", is_credible: true }
}

/// Cases 1 to 6.
pub const CASES: [Row; 6] = [
    Row {
        layers: "conv 32, conv 64, pool, dropout 0.25, dense 128, dropout 0.5",
        printed: [at(91.94, 1), at(97.73, 1), at(98.99, 13), at(99.16, 14), end(99.11), end(0.037045)],
    },
    Row {
        layers: "conv 32, pool, conv 64, pool, dropout 0.25, dense 128, dropout 0.5",
        printed: [at(90.11, 1), at(97.74, 1), at(98.94, 14), at(99.24, 14), end(99.21), end(0.026303)],
    },
    Row {
        layers: "conv 32, conv 64, pool, dense 128",
        printed: [at(94.35, 1), at(98.33, 3), at(100.0, 15), at(99.06, 15), end(99.06), end(0.049449)],
    },
    Row {
        layers: "conv 32, pool, conv 64, pool, dense 128",
        printed: [
            at(92.94, 1),
            at(97.79, 1),
            at(99.92, 15),
            Printed { value: 99.92, epoch: Some(13), mark: "†", is_credible: false },
            end(99.20),
            end(0.032287),
        ],
    },
    Row {
        layers: "conv 32, conv 64, pool, dense 128, dropout 0.5",
        printed: [at(91.80, 1), at(98.16, 1), at(99.09, 13), at(99.12, 12), end(99.09), end(0.034337)],
    },
    Row {
        layers: "conv 32, pool, conv 64, pool, dense 128, dropout 0.5",
        printed: [
            at(90.50, 1),
            at(97.13, 1),
            at(99.24, 15),
            at(99.26, 13),
            Printed { value: 99.07, epoch: None, mark: "‡", is_credible: true },
            end(0.028596),
        ],
    },
];

/// Where the paper contradicts itself, and what it leaves out.
pub const SLIPS: [&str; 7] = [
    "† Case 4: the table prints 99.92 % as maximum validation accuracy. That repeats its maximum training accuracy; the \
     final accuracy is 99.20 %. The number is not compared, and not shown in the figure.",
    "‡ Case 6: the table prints 99.07 % as final accuracy, the conclusion 97.07 %. The table agrees with the other columns, so \
     its number is compared.",
    "Equation 7 is printed as δ = (1/n)(a − 1) f′(z) for the output layer. The 1 should be the target y: the gradient is then \
     that of equation 1, which is used here for the quadratic cost, through the softmax.",
    "The losses of the table, from 0.026 to 0.049, are those of softmax cross-entropy, not of the quadratic cost of equation 1. \
     These runs minimise cross-entropy.",
    "The paper gives no learning rate, schedule, momentum or initial weights. Those of the runs are above.",
    "The paper does not give the rate of the only dropout in cases 5 and 6; the runs use 0.5, as case 1 has at the same place.",
    "The table's counts of hidden layers (3 or 4) leave out the pooling or the dense layers; the networks follow its text.",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::PRESETS;

    /// The first comment of each preset draws its layers; a row must list the same layers.
    #[test]
    fn the_rows_are_those_of_the_presets() {
        for (index, row) in CASES.iter().enumerate() {
            let name = format!("case{}", index + 1);
            let preset = PRESETS.iter().find(|preset| preset.name == name).unwrap();
            let line = preset.text.lines().find(|line| line.contains(" - ")).unwrap();
            let drawn = line.trim_start_matches('#').trim();
            let drawn = drawn.trim_end_matches(" - dense 10").replace(" - flatten", "").replace(" - ", ", ");
            assert_eq!(row.layers, drawn, "{name}");
        }
    }

    #[test]
    fn minima_are_below_maxima_and_epochs_within_the_training() {
        for Row { printed: [min_train, min_val, max_train, max_val, end, loss], .. } in &CASES {
            assert!(min_train.value < max_train.value && min_val.value < end.value);
            assert!(end.value <= max_val.value && loss.value < 0.05);
            let epochs = [min_train, min_val, max_train, max_val].map(|printed| printed.epoch.unwrap());
            assert!(epochs.iter().all(|epoch| (1..=EPOCHS).contains(epoch)));
        }
    }
}
