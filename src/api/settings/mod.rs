//! What is configured: of topics, groups, brokers and clusters; who may do what, and how much of it.

pub mod acls;
pub mod alter_configs;
pub mod config_resources;
pub mod config_values;
pub mod configs;
pub mod quotas;
pub mod scram;
