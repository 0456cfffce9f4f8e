//! A phone and a topic, which one push is for.

use honoken_database::statements::{Row, Value};
use honoken_domain::ids::{DeviceLibraryIdentifier, PassTypeIdentifier};

use super::columns;

/// A phone and a topic: the key of the table `wake`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PhoneTopic {
    /// The topic.
    pub pass_type_identifier: PassTypeIdentifier,
    /// The phone.
    pub device_library_identifier: DeviceLibraryIdentifier,
}

impl PhoneTopic {
    pub(super) fn read(row: &Row) -> sqlx::Result<Self> {
        Ok(Self {
            pass_type_identifier: columns::pass_type(row)?,
            device_library_identifier: columns::device(row)?,
        })
    }

    pub(super) fn row(&self) -> [Value; 2] {
        [self.pass_type_identifier.as_str().into(), self.device_library_identifier.as_str().into()]
    }
}
