"""Seeded instances, one module per problem or published generator."""
