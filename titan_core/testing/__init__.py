"""What authors of phase plugins and the project's own tests share: builders, fakes and the contract tests."""
