//! Records that outlive the process.
mod file;
