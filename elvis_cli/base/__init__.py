"""Arrays, numbers and rules that know no physics: what every other room builds on."""
