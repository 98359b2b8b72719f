"""What an operator runs beside the programs: doctor, secrets, demo. With the CLI it may import any other package."""
