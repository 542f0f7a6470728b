"""What a tensor is predicted from: which relative, and by which operation. Pure; a wrong choice costs bytes only."""
