//! Prints the public API of a crate, one item a line.
//!
//! Usage: `public-api-of FILE`, a file that rustdoc wrote in JSON.

use std::{env, error::Error};

fn main() -> Result<(), Box<dyn Error>> {
    let file = env::args_os().nth(1).ok_or("name a file that rustdoc wrote in JSON")?;
    // Impls for all types and of Send, Sync and the like would be most of the lines. Derived ones stay: without one of
    // them, users do not compile.
    let api = public_api::Builder::from_rustdoc_json(file).omit_blanket_impls(true).omit_auto_trait_impls(true).build()?;
    for item in api.items() {
        println!("{item}");
    }
    Ok(())
}
