//! How the parts behave together: certificates are made here, passes are built, and other programs judge them.

mod authority;
mod building;
mod cms;
mod credentials;
mod fixtures;
mod identities;
mod images;
mod inspecting;
mod linting;
mod mapping;
mod reading;
mod robustness;
mod signatures;
mod styles;
