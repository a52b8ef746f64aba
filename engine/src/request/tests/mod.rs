use super::*;

mod hosts;
mod targets;
