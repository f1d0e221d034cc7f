"""Everything that would still exist without GraphQL, plus the assembly."""
