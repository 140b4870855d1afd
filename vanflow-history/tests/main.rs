//! Questions in PromQL and their answers, by themselves and beside those of a real Prometheus.

#![expect(clippy::unwrap_used, reason = "what is not there where it has to be fails the test")]

mod against_prometheus;
mod answers;
mod explore;
mod prometheus;
mod robust;
mod scope;
mod world;
