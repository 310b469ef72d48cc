//! Schemas and resource types as data (RFC 7643 §§6, 7). Everything that validates, filters, patches or projects is driven by
//! these; there is no typed User or Group.

mod attribute;
mod builtin;
pub mod load;
mod registry;
mod resource_type;
#[cfg(test)]
mod tests;

pub use attribute::{Attribute, Mutability, Returned, Schema, Type, Uniqueness};
pub use registry::{Registry, TypeRecord};
pub use resource_type::{Extension, ResourceType};

/// URN of the core User schema.
pub const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
/// URN of the core Group schema.
pub const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
/// URN of the enterprise extension of User.
pub const ENTERPRISE_USER: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
/// URN of the schema of schemas.
pub const SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:Schema";
/// URN of the schema of resource types.
pub const RESOURCE_TYPE: &str = "urn:ietf:params:scim:schemas:core:2.0:ResourceType";
/// URN of the schema of the service provider's configuration.
pub const SERVICE_PROVIDER_CONFIG: &str = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig";
