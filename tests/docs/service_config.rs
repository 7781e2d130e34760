//! proto/ringless/v1/service_config.json: what stock clients may repeat by themselves.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::proto::descriptors;
use crate::text;

const PATH: &str = "proto/ringless/v1/service_config.json";

fn config() -> Value {
    serde_json::from_str(&text(PATH)).unwrap()
}

fn entries() -> Vec<Value> {
    config()["methodConfig"].as_array().unwrap().clone()
}

/// Service and method of each name of an entry.
fn names(entry: &Value) -> Vec<(String, String)> {
    let part = |name: &Value, key: &str| name[key].as_str().unwrap().to_owned();
    entry["name"]
        .as_array()
        .unwrap()
        .iter()
        .map(|name| (part(name, "service"), part(name, "method")))
        .collect()
}

/// Every method of the package, and whether its caller streams.
fn methods() -> BTreeMap<(String, String), bool> {
    let mut methods = BTreeMap::new();
    for file in descriptors() {
        for service in &file.service {
            let full = format!("{}.{}", file.package(), service.name());
            for method in &service.method {
                methods.insert(
                    (full.clone(), method.name().to_owned()),
                    method.client_streaming(),
                );
            }
        }
    }
    methods
}

/// Seconds of a `"0.25s"`.
fn seconds(value: &Value) -> f64 {
    let text = value
        .as_str()
        .unwrap_or_else(|| panic!("{value} is no duration"));
    let number = text
        .strip_suffix('s')
        .unwrap_or_else(|| panic!("{text} has no unit"));
    let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    assert!(
        is_number && number.bytes().filter(|b| *b == b'.').count() <= 1,
        "{text}"
    );
    number.parse().unwrap()
}

#[test]
fn it_names_every_method_once() {
    let mut named: Vec<_> = entries().iter().flat_map(names).collect();
    named.sort();
    let known: Vec<_> = methods().into_keys().collect();
    assert_eq!(named, known);
}

#[test]
fn what_is_streamed_in_is_never_repeated() {
    let methods = methods();
    for entry in entries() {
        for name in names(&entry) {
            assert_eq!(
                methods[&name],
                entry.get("retryPolicy").is_none(),
                "{name:?}"
            );
        }
    }
}

#[test]
fn every_policy_is_one_that_clients_take_and_fits_into_its_timeout() {
    for entry in entries() {
        let timeout = seconds(&entry["timeout"]);
        assert!(timeout > 0.0);
        let Some(policy) = entry.get("retryPolicy") else {
            continue;
        };
        let attempts = policy["maxAttempts"].as_u64().unwrap();
        assert!((2..=5).contains(&attempts), "{attempts}");
        let (first, most) = (
            seconds(&policy["initialBackoff"]),
            seconds(&policy["maxBackoff"]),
        );
        assert!(first > 0.0 && first <= most, "{first} {most}");
        let factor = policy["backoffMultiplier"].as_f64().unwrap();
        assert!(factor >= 1.0);
        let codes: Vec<&str> = policy["retryableStatusCodes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|code| code.as_str().unwrap())
            .collect();
        assert!(!codes.is_empty());
        assert!(
            codes
                .iter()
                .all(|code| ["UNAVAILABLE", "RESOURCE_EXHAUSTED"].contains(code)),
            "{codes:?}"
        );
        // Clients spread each wait by up to a fifth.
        let waits: f64 = (1..attempts)
            .scan(first, |next, _| {
                let wait = next.min(most);
                *next *= factor;
                Some(wait)
            })
            .sum();
        assert!(waits * 1.2 < timeout, "{waits} s of waits in {timeout} s");
    }
}

#[test]
fn uploads_live_long_enough_to_hear_that_they_stalled() {
    let total = ringless::intake::TOTAL_MAX.as_secs_f64();
    let methods = methods();
    for entry in entries()
        .iter()
        .filter(|entry| names(entry).iter().any(|name| methods[name]))
    {
        assert!(seconds(&entry["timeout"]) > total);
    }
}

/// The names whose health is told, which the program keeps to itself.
fn health_names() -> Vec<String> {
    let source = text("src/readiness.rs");
    let (_, rest) = source.split_once("const HEALTH_SERVICES").unwrap();
    let (_, list) = rest.split_once("= [").unwrap();
    let list = list.split(']').next().unwrap();
    list.split('"')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_health_that_clients_watch_is_told() {
    let config = config();
    let watched = config["healthCheckConfig"]["serviceName"].as_str().unwrap();
    assert!(health_names().contains(&watched.to_owned()), "{watched}");
}

#[test]
fn every_health_name_of_a_service_is_a_service() {
    let services: Vec<String> = methods().into_keys().map(|(service, _)| service).collect();
    for name in health_names() {
        assert!(name.is_empty() || services.contains(&name), "{name}");
    }
}
