use crate::common::agrees;

#[test]
fn statistics_agree_with_the_reference() {
    agrees("batch_norm.statistics");
}

#[test]
fn forward_agrees_with_the_reference() {
    agrees("batch_norm.forward");
}

#[test]
fn backward_weight_agrees_with_the_reference() {
    agrees("batch_norm.backward_weight");
}

#[test]
fn backward_input_agrees_with_the_reference() {
    agrees("batch_norm.backward_input");
}
