//! The network observer's API.

mod answers;
