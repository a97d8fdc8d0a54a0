"""Runs on a Slurm cluster: steps as jobs through sbatch, the data in a folder that nodes share."""
