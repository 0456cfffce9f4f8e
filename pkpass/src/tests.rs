//! How the parts behave together: certificates are made here, passes are built, and other programs judge them.

mod authority;
mod building;
mod fixtures;
mod identities;
mod images;
mod linting;
mod mapping;
mod reading;
mod robustness;
mod styles;
