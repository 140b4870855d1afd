//! The collector as a whole: what goes in at one end, and what is answered at the other.

mod access;
mod alerts;
mod architecture;
mod attacks;
mod captures;
mod corpora;
mod demo;
mod deployment;
mod events;
mod flow_log;
mod followed;
mod frames;
mod history;
mod late_join;
mod leaving;
mod lost_flush;
mod manifest;
mod monitoring;
mod network;
mod reconnect;
mod renewal;
mod restart;
mod support;
mod watch;
