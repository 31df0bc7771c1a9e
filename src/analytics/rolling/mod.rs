//! The rolling statistics that indicators are made of, one file each.

pub mod fold;
pub mod size_window;
pub mod sizes;
pub mod state;
pub mod window;
