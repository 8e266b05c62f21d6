//! Every kernel and a short training within the limits of other devices, as far as the test device can be restricted to
//! them.
#![cfg(feature = "cli")]

#[path = "common/place.rs"]
mod place;

use place::Place;
use serde_json::Value;
use shadegrad::gpu::{LIMIT_PROFILES, LIMITS_VARIABLE};
use std::process::Output;

/// Standard output of the program within a profile.
fn within(place: &Place, profile: &str, args: &str) -> String {
    let mut command = place.command(args);
    let Output { status, stdout, stderr } = command.env(LIMITS_VARIABLE, profile).output().unwrap();
    let stdout = String::from_utf8(stdout).unwrap();
    assert!(status.success(), "{profile}: {args}: {status}\n{stdout}{}", String::from_utf8_lossy(&stderr));
    stdout
}

fn test_device() -> String {
    std::env::var("SHADEGRAD_TEST_DEVICE").unwrap_or("auto".into())
}

/// Every kernel at a few shapes, then a network whose kernels are chosen as on a GPU.
fn passes(profile: &str) {
    let place = Place::new();
    let report: Value =
        serde_json::from_str(&within(&place, profile, &format!("verify --quick --json --device {}", test_device())))
            .unwrap();
    let name = report["device"]["adapter"].as_str().unwrap();
    assert!(name.ends_with(&format!(" as {profile}")), "{name}");
    within(&place, profile, "train --model tiny.toml --data data --max-steps 3 --epochs 1 --out run --quiet");
    within(&place, profile, "evaluate run --data data");
}

#[test]
fn runs_within_the_limits_of_webgpu() {
    passes("webgpu");
}

#[test]
fn runs_within_the_limits_of_intel() {
    passes("intel");
}

#[test]
fn runs_within_the_limits_of_amd() {
    passes("amd");
}

#[test]
fn runs_within_the_limits_of_apple() {
    passes("apple");
}

#[test]
fn runs_within_the_limits_of_adreno() {
    passes("adreno");
}

#[test]
fn every_profile_is_tested() {
    assert_eq!(LIMIT_PROFILES.each_ref().map(|profile| profile.name), ["webgpu", "intel", "amd", "apple", "adreno"]);
}

#[test]
fn a_device_has_the_limits_of_its_profile() {
    let place = Place::new();
    let listed = |profile: &str| serde_json::from_str::<Value>(&within(&place, profile, "devices --json")).unwrap();
    let all = listed("");
    for (adapter, own) in
        listed("webgpu")["adapters"].as_array().unwrap().iter().zip(all["adapters"].as_array().unwrap())
    {
        assert_eq!(adapter["name"], format!("{} as webgpu", own["name"].as_str().unwrap()));
        assert_eq!(adapter["features"].as_array().unwrap().len(), 0);
        let limits = &adapter["limits"];
        let said =
            ["workgroup_bytes", "workgroup_invocations", "storage_buffers"].map(|name| limits[name].as_u64().unwrap());
        assert!(said[0] <= 16 << 10 && said[1] <= 256 && said[2] <= 8, "{limits}");
    }
}

#[test]
fn an_unknown_profile_is_refused() {
    let place = Place::new();
    for args in ["devices", "train --data data", "verify --quick"] {
        let output = place.command(args).env(LIMITS_VARIABLE, "webgl").output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{args}: {stderr}");
        assert!(stderr.contains("SHADEGRAD_LIMITS: expected one of webgpu, "), "{args}: {stderr}");
    }
}
